/* gpm.c: GPU performance monitoring (Hopper and later), and MIG instances. */
#include "play.h"

struct nvmlGpmSample_st {
  const struct gpu *gpu;
  unsigned gi; /* NONE: the whole GPU */
  double at, total[NTOTALS];
};

EXPORT nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t d, nvmlGpmSupport_t *s)
    CALL(d, if (s->version != NVML_GPM_SUPPORT_VERSION) r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH; else s->isSupportedDevice = (unsigned)P.gpm)
EXPORT nvmlReturn_t nvmlGpmSampleAlloc(nvmlGpmSample_t *s)
    CALL(NULL, *s = calloc(1, sizeof **s); if (!*s) r = NVML_ERROR_MEMORY)
EXPORT nvmlReturn_t nvmlGpmSampleFree(nvmlGpmSample_t s) CALL(NULL, free(s))
EXPORT nvmlReturn_t nvmlGpmSampleGet(nvmlDevice_t d, nvmlGpmSample_t s)
    CALL(d, if (!P.gpm || g->key[K_mig] != 0) r = NVML_ERROR_NOT_SUPPORTED; else { s->gpu = g; s->gi = NONE; s->at = play_mono();
         memcpy(s->total, g->total, sizeof g->total); })

static const struct instance *instance(const struct gpu *g, unsigned gi) {
  for (int i = 0; i < g->ninstances; i++)
    if (g->instances[i].gi == gi) return &g->instances[i];
  return NULL;
}
EXPORT nvmlReturn_t nvmlGpmMigSampleGet(nvmlDevice_t d, unsigned int gi, nvmlGpmSample_t s)
    CALL(d, if (!P.gpm || g->key[K_mig] == 0) r = NVML_ERROR_NOT_SUPPORTED; else if (!instance(g, gi)) r = NVML_ERROR_INVALID_ARGUMENT;
         else { s->gpu = g; s->gi = gi; s->at = play_mono(); memcpy(s->total, g->total, sizeof g->total); })

static nvmlReturn_t metric(nvmlGpmMetric_t *m, const struct nvmlGpmSample_st *a, const struct nvmlGpmSample_st *b) {
  static const struct {
    unsigned id;
    enum key key;
  } shares[] = {{NVML_GPM_METRIC_GRAPHICS_UTIL, K_util}, {NVML_GPM_METRIC_SM_UTIL, K_sm_pct}, {NVML_GPM_METRIC_SM_OCCUPANCY, K_occupancy_pct},
                {NVML_GPM_METRIC_ANY_TENSOR_UTIL, K_tensor_pct}, {NVML_GPM_METRIC_DRAM_BW_UTIL, K_dram_pct}, {NVML_GPM_METRIC_FP64_UTIL, K_fp64_pct},
                {NVML_GPM_METRIC_FP32_UTIL, K_fp32_pct}, {NVML_GPM_METRIC_FP16_UTIL, K_fp16_pct}};
  static const struct {
    unsigned id;
    enum total total;
  } rates[] = {{NVML_GPM_METRIC_PCIE_TX_PER_SEC, T_PTX}, {NVML_GPM_METRIC_PCIE_RX_PER_SEC, T_PRX}, {NVML_GPM_METRIC_NVLINK_TOTAL_TX_PER_SEC, T_TX},
               {NVML_GPM_METRIC_NVLINK_TOTAL_RX_PER_SEC, T_RX}};
  const struct instance *mig = b->gi == NONE ? NULL : instance(b->gpu, b->gi);
  double mib = 1048576 * (b->at - a->at);
  for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
    if (shares[i].id == m->metricId) {
      m->value = val(b->gpu, shares[i].key);
      if (b->gi != NONE) m->value *= mig ? mig->sm_pct / b->gpu->key[K_sm_pct] : 0; /* an instance is as busy as it says, in everything */
      return NVML_SUCCESS;
    }
  for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
    if (rates[i].id == m->metricId) return m->value = (b->total[rates[i].total] - a->total[rates[i].total]) / mib, NVML_SUCCESS;
  return NVML_ERROR_NOT_SUPPORTED;
}
EXPORT nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *q)
    CALL(NULL, const struct nvmlGpmSample_st *a = q->sample1; const struct nvmlGpmSample_st *b = q->sample2;
         if (q->version != NVML_GPM_METRICS_GET_VERSION) r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
         else if (!a || !b || !a->gpu || a->gpu != b->gpu || a->gi != b->gi || b->at - a->at < .1) r = NVML_ERROR_INVALID_ARGUMENT;
         else for (unsigned i = 0; i < q->numMetrics; i++) q->metrics[i].nvmlReturn = metric(&q->metrics[i], a, b))

EXPORT nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t d, unsigned int *cur, unsigned int *pending)
    CALL(d, if (P.machine->arch < NVML_DEVICE_ARCH_AMPERE || P.machine->arch == NVML_DEVICE_ARCH_ADA) r = NVML_ERROR_NOT_SUPPORTED;
         else *cur = *pending = (unsigned)val(g, K_mig))
EXPORT nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t d, unsigned int *n) CALL(d, *n = 7)
EXPORT nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t d, unsigned int i, nvmlDevice_t *mig)
    CALL(d, if (g->key[K_mig] == 0 || i >= (unsigned)g->ninstances) r = NVML_ERROR_NOT_FOUND; else *mig = &g->instances[i].device)
EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t d, unsigned int *v) MIGCALL(d, if (!m) r = NVML_ERROR_INVALID_ARGUMENT; else *v = m->gi)
EXPORT nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t d, unsigned int *v) MIGCALL(d, if (!m) r = NVML_ERROR_INVALID_ARGUMENT; else *v = m->ci)
EXPORT nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t d, nvmlDeviceAttributes_t *a)
    MIGCALL(d, if (!m) r = NVML_ERROR_INVALID_ARGUMENT; else { memset(a, 0, sizeof *a); a->gpuInstanceSliceCount = m->gslices;
            a->computeInstanceSliceCount = m->cslices; a->memorySizeMB = (unsigned long long)m->mib; })
