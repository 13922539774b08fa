/* device.c: what a GPU is, and the questions that have one answer each. */
#include "play.h"

EXPORT const char *nvmlErrorString(nvmlReturn_t r) {
  switch ((int)r) {
  case 0: return "Success";
  case 1: return "Uninitialized";
  case 2: return "Invalid Argument";
  case 3: return "Not Supported";
  case 4: return "Insufficient Permissions";
  case 6: return "Not Found";
  case 7: return "Insufficient Size";
  case 9: return "Driver Not Loaded";
  case 10: return "Timeout";
  case 15: return "GPU is lost";
  case 16: return "GPU requires reset";
  case 17: return "GPU access blocked by the operating system";
  case 18: return "Driver/library version mismatch";
  case 999: return "Unknown Error";
  default: return "Played Error";
  }
}
EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *s, unsigned int n) CALL(NULL, r = play_text(s, n, P.driver))
EXPORT nvmlReturn_t nvmlSystemGetNVMLVersion(char *s, unsigned int n) CALL(NULL, r = play_text(s, n, P.nvml))
EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *v) CALL(NULL, *v = P.cuda)
EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *v) CALL(NULL, *v = P.cuda)

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *n) CALL(NULL, *n = (unsigned)nshown)
EXPORT nvmlReturn_t nvmlDeviceGetCount(unsigned int *n) { return nvmlDeviceGetCount_v2(n); }
EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int i, nvmlDevice_t *d)
    CALL(NULL, if (i >= (unsigned)nshown) r = NVML_ERROR_INVALID_ARGUMENT;
         else if (shown[i]->gpu->denied) r = NVML_ERROR_NO_PERMISSION;
         else if (shown[i]->gpu->lost) r = NVML_ERROR_GPU_IS_LOST; else *d = shown[i])
EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int i, nvmlDevice_t *d) { return nvmlDeviceGetHandleByIndex_v2(i, d); }
EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *d)
    CALL(NULL, r = NVML_ERROR_NOT_FOUND; for (int i = 0; i < nshown; i++) if (!strcmp(uuid, shown[i]->gpu->uuid)) r = (*d = shown[i], NVML_SUCCESS))

static void mig_name(const struct instance *m, char *to, size_t size) {
  int gb = (int)((m->mib + 1023) / 1024);
  if (m->cslices == m->gslices) snprintf(to, size, "%s MIG %ug.%dgb", P.name, m->gslices, gb);
  else snprintf(to, size, "%s MIG %uc.%ug.%dgb", P.name, m->cslices, m->gslices, gb);
}
EXPORT nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t d, char *s, unsigned int n)
    MIGCALL(d, char name[160]; snprintf(name, sizeof name, "%s", P.name); if (m) mig_name(m, name, sizeof name); r = play_text(s, n, name))
EXPORT nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t d, char *s, unsigned int n)
    MIGCALL(d, char id[80]; snprintf(id, sizeof id, "%s", g->uuid);
            if (m) snprintf(id, sizeof id, "MIG-5eed%04x-%04x-5a5e-9d21-%08x0001", g->n, m->gi, m->ci); r = play_text(s, n, id))
EXPORT nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t d, char *s, unsigned int n) CALL(d, r = play_text(s, n, g->serial))
EXPORT nvmlReturn_t nvmlDeviceGetVbiosVersion(nvmlDevice_t d, char *s, unsigned int n) CALL(d, r = play_text(s, n, P.machine->vbios))
EXPORT nvmlReturn_t nvmlDeviceGetBoardPartNumber(nvmlDevice_t d, char *s, unsigned int n) CALL(d, r = play_text(s, n, P.machine->board))
EXPORT nvmlReturn_t nvmlDeviceGetInforomImageVersion(nvmlDevice_t d, char *s, unsigned int n) CALL(d, r = play_text(s, n, P.machine->inforom))
EXPORT nvmlReturn_t nvmlDeviceGetGspFirmwareVersion(nvmlDevice_t d, char *s) /* at least NVML_GSP_FIRMWARE_VERSION_BUF_SIZE bytes */
    CALL(d, if (P.machine->arch < NVML_DEVICE_ARCH_HOPPER) r = NVML_ERROR_NOT_SUPPORTED; else r = play_text(s, NVML_GSP_FIRMWARE_VERSION_BUF_SIZE, P.driver))
EXPORT nvmlReturn_t nvmlDeviceGetArchitecture(nvmlDevice_t d, nvmlDeviceArchitecture_t *v) CALL(d, *v = (nvmlDeviceArchitecture_t)P.machine->arch)
EXPORT nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t d, unsigned int *i) CALL(d, *i = (unsigned)play_index(g))
EXPORT nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t d, unsigned int *i) CALL(d, *i = (unsigned)g->n)
EXPORT nvmlReturn_t nvmlDeviceGetModuleId(nvmlDevice_t d, unsigned int *i) CALL(d, *i = (unsigned)g->n + 1)
EXPORT nvmlReturn_t nvmlDeviceGetNumaNodeId(nvmlDevice_t d, unsigned int *i) CALL(d, *i = (unsigned)g->n / 4)
EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t d, nvmlPciInfo_t *p)
    CALL(d, static const int bus[] = {0x19, 0x3b, 0x4c, 0x5d, 0x9b, 0xbb, 0xcb, 0xdb}; memset(p, 0, sizeof *p);
         p->bus = (unsigned)(g->n < 8 ? bus[g->n] : 0xe0 + g->n % 32); p->domain = g->n < 40 ? 0 : 1; p->pciDeviceId = 0x233010de;
         p->pciSubSystemId = 0x16c110de; snprintf(p->busId, sizeof p->busId, "%08X:%02X:00.0", p->domain, p->bus);
         snprintf(p->busIdLegacy, sizeof p->busIdLegacy, "%04X:%02X:00.0", p->domain, p->bus))
EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t d, nvmlPciInfo_t *p) { return nvmlDeviceGetPciInfo_v3(d, p); }
EXPORT nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t d, nvmlPciInfo_t *p) { return nvmlDeviceGetPciInfo_v3(d, p); }
EXPORT nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t d, int *a, int *b) CALL(d, *a = P.cc[0]; *b = P.cc[1])
EXPORT nvmlReturn_t nvmlDeviceGetPlatformInfo(nvmlDevice_t d, nvmlPlatformInfo_t *p)
    CALL(d, if (p->version != nvmlPlatformInfo_v2 && p->version != nvmlPlatformInfo_v1) r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
         else if (!P.machine->platform) r = NVML_ERROR_NOT_SUPPORTED; else {
           unsigned v = p->version; memset(p, 0, sizeof *p); p->version = v; p->moduleId = (unsigned char)(g->n + 1); p->hostId = 1;
           if (g->key[K_chassis] != 0) snprintf((char *)p->chassisSerialNumber, sizeof p->chassisSerialNumber, "%013.0f", 1821325190000 + g->key[K_chassis]);
           p->slotNumber = (unsigned char)g->key[K_slot]; p->trayIndex = (unsigned char)g->key[K_tray]; })

/* Plain numbers of one GPU. */
#define NUMBER(fn, type, key)                                                                                          \
  EXPORT nvmlReturn_t fn(nvmlDevice_t d, type *v) CALL(d, *v = (type)val(g, K_##key))
NUMBER(nvmlDeviceGetPowerUsage, unsigned int, power_mw)
NUMBER(nvmlDeviceGetEnforcedPowerLimit, unsigned int, power_limit_mw)
NUMBER(nvmlDeviceGetPowerManagementLimit, unsigned int, power_limit_mw)
NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, unsigned int, power_max_mw)
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, unsigned int, pcie_gen)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, unsigned int, pcie_width)
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, unsigned int, pcie_max_gen)
NUMBER(nvmlDeviceGetGpuMaxPcieLinkGeneration, unsigned int, pcie_max_gen)
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, unsigned int, pcie_max_width)
NUMBER(nvmlDeviceGetPcieReplayCounter, unsigned int, pcie_replay)
NUMBER(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long, throttle)
NUMBER(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, throttle)
NUMBER(nvmlDeviceGetPersistenceMode, nvmlEnableState_t, persistence)
NUMBER(nvmlDeviceGetComputeMode, nvmlComputeMode_t, compute_mode)
NUMBER(nvmlDeviceGetPerformanceState, nvmlPstates_t, pstate)

EXPORT nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t d, unsigned int *lo, unsigned int *hi)
    CALL(d, *lo = (unsigned)val(g, K_power_min_mw); *hi = (unsigned)val(g, K_power_max_mw))
EXPORT nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t d, unsigned long long *mj) CALL(d, *mj = (unsigned long long)g->total[T_ENERGY])
EXPORT nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t d, nvmlUtilization_t *u)
    CALL(d, if (g->key[K_mig] != 0) r = NVML_ERROR_NOT_SUPPORTED; else { u->gpu = (unsigned)val(g, K_util); u->memory = (unsigned)val(g, K_mem_util); })
#define CODEC(fn, what)                                                                                                \
  EXPORT nvmlReturn_t fn(nvmlDevice_t d, unsigned int *v, unsigned int *us)                                            \
      CALL(d, if (g->key[K_mig] != 0) r = NVML_ERROR_NOT_SUPPORTED; else { *v = (unsigned)val(g, what); *us = 167000; })
CODEC(nvmlDeviceGetEncoderUtilization, K_encoder)
CODEC(nvmlDeviceGetDecoderUtilization, K_decoder)
EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t d, nvmlMemory_v2_t *v)
    MIGCALL(d, if (v->version != nvmlMemory_v2) r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH; else {
      v->total = (unsigned long long)(m ? m->mib * 1048576 : val(g, K_mem_total)); v->reserved = (unsigned long long)(m ? 0 : val(g, K_mem_reserved));
      v->used = (unsigned long long)(m ? m->used_mib * 1048576 : val(g, K_mem_used)); v->free = v->total - v->reserved - v->used; })
EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t d, nvmlMemory_t *v) /* counts what is reserved as used */
    MIGCALL(d, v->total = (unsigned long long)(m ? m->mib * 1048576 : val(g, K_mem_total));
            v->used = (unsigned long long)(m ? m->used_mib * 1048576 : val(g, K_mem_used) + val(g, K_mem_reserved)); v->free = v->total - v->used)
EXPORT nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t d, nvmlBAR1Memory_t *b)
    CALL(d, b->bar1Total = (unsigned long long)val(g, K_bar1_total); b->bar1Used = (unsigned long long)val(g, K_bar1_used); b->bar1Free = b->bar1Total - b->bar1Used)
EXPORT nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t d, nvmlTemperatureSensors_t s, unsigned int *v)
    CALL(d, if (s != NVML_TEMPERATURE_GPU) r = NVML_ERROR_INVALID_ARGUMENT; else *v = (unsigned)val(g, K_temp_c))
EXPORT nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t d, nvmlTemperature_t *t)
    CALL(d, if (t->version != nvmlTemperature_v1) r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH; else t->temperature = (int)val(g, K_temp_c))
EXPORT nvmlReturn_t nvmlDeviceGetMarginTemperature(nvmlDevice_t d, nvmlMarginTemperature_t *t)
    CALL(d, if (t->version != nvmlMarginTemperature_v1) r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
         else if (P.machine->arch < NVML_DEVICE_ARCH_ADA) r = NVML_ERROR_NOT_SUPPORTED; else t->marginTemperature = (int)val(g, K_margin_c))
EXPORT nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t d, nvmlTemperatureThresholds_t t, unsigned int *v)
    CALL(d, if (!P.machine->temp_limits) r = NVML_ERROR_NOT_SUPPORTED; /* newer drivers give T.Limits instead */
         else if (t == NVML_TEMPERATURE_THRESHOLD_SHUTDOWN) *v = (unsigned)val(g, K_shutdown_c);
         else if (t == NVML_TEMPERATURE_THRESHOLD_SLOWDOWN) *v = (unsigned)val(g, K_slowdown_c);
         else if (t == NVML_TEMPERATURE_THRESHOLD_MEM_MAX) *v = (unsigned)val(g, K_mem_max_c); else r = NVML_ERROR_NOT_SUPPORTED)
EXPORT nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t d, nvmlClockType_t t, unsigned int *v)
    CALL(d, *v = (unsigned)val(g, t == NVML_CLOCK_MEM ? K_mem_mhz : K_sm_mhz))
EXPORT nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t d, nvmlClockType_t t, unsigned int *v)
    CALL(d, *v = (unsigned)val(g, t == NVML_CLOCK_MEM ? K_max_mem_mhz : K_max_sm_mhz))
EXPORT nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t d, nvmlEnableState_t *cur, nvmlEnableState_t *pending)
    CALL(d, *cur = *pending = (nvmlEnableState_t)val(g, K_ecc))
EXPORT nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t d, nvmlMemoryErrorType_t t, nvmlEccCounterType_t c, unsigned long long *v)
    CALL(d, if (g->key[K_ecc] == 0) r = NVML_ERROR_NOT_SUPPORTED; else *v = (unsigned long long)val(g,
         t == NVML_MEMORY_ERROR_TYPE_CORRECTED ? (c == NVML_VOLATILE_ECC ? K_ecc_sbe : K_ecc_sbe_agg) : (c == NVML_VOLATILE_ECC ? K_ecc_dbe : K_ecc_dbe_agg)))
EXPORT nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t d, nvmlMemoryErrorType_t t, nvmlEccCounterType_t c, nvmlMemoryLocation_t where, unsigned long long *v)
    MIGCALL(d, if (!m || t != NVML_MEMORY_ERROR_TYPE_UNCORRECTED || c != NVML_VOLATILE_ECC || where != NVML_MEMORY_LOCATION_SRAM) r = NVML_ERROR_NOT_SUPPORTED;
            else *v = (unsigned long long)val(g, K_ecc_dbe))
EXPORT nvmlReturn_t nvmlDeviceGetSramEccErrorStatus(nvmlDevice_t d, nvmlEccSramErrorStatus_t *s)
    CALL(d, if (s->version != nvmlEccSramErrorStatus_v1) r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
         else if (P.machine->arch < NVML_DEVICE_ARCH_AMPERE || g->key[K_ecc] == 0) r = NVML_ERROR_NOT_SUPPORTED; else {
           unsigned v = s->version; memset(s, 0, sizeof *s); s->version = v;
           s->aggregateUncSecDed = s->aggregateUncBucketSm = (unsigned long long)val(g, K_sram_unc); s->bThresholdExceeded = (unsigned)val(g, K_sram_threshold); })
EXPORT nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t d, unsigned int *cor, unsigned int *unc, unsigned int *pending, unsigned int *failed)
    CALL(d, *cor = (unsigned)val(g, K_remap_cor); *unc = (unsigned)val(g, K_remap_unc); *pending = (unsigned)val(g, K_remap_pending);
         *failed = (unsigned)val(g, K_remap_failure))

/* NVLink, one by one. */
EXPORT nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t d, unsigned int link, nvmlEnableState_t *v)
    CALL(d, if (g->key[K_mig] != 0) r = NVML_ERROR_NOT_SUPPORTED; else if (link >= (unsigned)val(g, K_nvlinks)) r = NVML_ERROR_INVALID_ARGUMENT;
         else *v = link >= (unsigned)val(g, K_nvlinks_down) ? NVML_FEATURE_ENABLED : NVML_FEATURE_DISABLED)
EXPORT nvmlReturn_t nvmlDeviceGetNvLinkVersion(nvmlDevice_t d, unsigned int link, unsigned int *v)
    CALL(d, if (link >= (unsigned)val(g, K_nvlinks)) r = NVML_ERROR_INVALID_ARGUMENT; else *v = (unsigned)P.machine->link_version)
/* Link L of a GPU leads to switch L modulo 4, before NVSwitches (V100) to GPU L of the others; the last one of a V100 to the CPU. */
EXPORT nvmlReturn_t nvmlDeviceGetNvLinkRemoteDeviceType(nvmlDevice_t d, unsigned int link, nvmlIntNvLinkDeviceType_t *t)
    CALL(d, if (link >= (unsigned)val(g, K_nvlinks)) r = NVML_ERROR_INVALID_ARGUMENT; else if (P.machine->link_version > 2) *t = NVML_NVLINK_DEVICE_TYPE_SWITCH;
         else *t = link + 1 == (unsigned)val(g, K_nvlinks) ? NVML_NVLINK_DEVICE_TYPE_IBMNPU : NVML_NVLINK_DEVICE_TYPE_GPU)
EXPORT nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo_v2(nvmlDevice_t d, unsigned int link, nvmlPciInfo_t *p)
    CALL(d, if (link >= (unsigned)val(g, K_nvlinks)) r = NVML_ERROR_INVALID_ARGUMENT; else { memset(p, 0, sizeof *p); p->bus = link % 4 + 5;
         snprintf(p->busId, sizeof p->busId, "%08X:%02X:00.0", 0, p->bus); })
EXPORT nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo(nvmlDevice_t d, unsigned int link, nvmlPciInfo_t *p) { return nvmlDeviceGetNvLinkRemotePciInfo_v2(d, link, p); }

/* The fabric of NVSwitches. Each version has its own shape; the versioned call takes those that the played driver knows. */
static void cluster(const struct gpu *g, unsigned char *to) {
  memset(to, 0, NVML_GPU_FABRIC_UUID_LEN);
  if (g->key[K_fabric_cluster] != 0)
    for (int i = 0; i < NVML_GPU_FABRIC_UUID_LEN; i++) to[i] = (unsigned char)(0xa0 + i * (int)g->key[K_fabric_cluster]);
}
#define FABRIC(f)                                                                                                      \
  (cluster(g, (f)->clusterUuid), (f)->status = (nvmlReturn_t)g->key[K_fabric_status], (f)->cliqueId = (unsigned)g->key[K_fabric_clique], \
   (f)->state = (unsigned char)g->key[K_fabric_state])
EXPORT nvmlReturn_t nvmlDeviceGetGpuFabricInfo(nvmlDevice_t d, nvmlGpuFabricInfo_t *f)
    CALL(d, if (!P.machine->fabric) r = NVML_ERROR_NOT_SUPPORTED; else FABRIC(f))
EXPORT nvmlReturn_t nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t d, nvmlGpuFabricInfoV_t *f)
    CALL(d, if (!P.machine->fabric) r = NVML_ERROR_NOT_SUPPORTED; else if (f->version == nvmlGpuFabricInfo_v3 && P.fabric_version >= 3) {
           FABRIC(f); f->healthMask = (unsigned)g->key[K_fabric_health]; f->healthSummary = 1;
         } else if (f->version == nvmlGpuFabricInfo_v2 && P.fabric_version >= 2) {
           nvmlGpuFabricInfo_v2_t *v2 = (nvmlGpuFabricInfo_v2_t *)f; FABRIC(v2); v2->healthMask = (unsigned)g->key[K_fabric_health];
         } else r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH)

/* A device's processes into out (at most max), those of procs_from last; how many there are. A GPU in MIG mode tells those of all its instances. */
static unsigned procs(struct gpu *g, struct instance *m, struct proc *out, unsigned max) {
  unsigned n = 0;
  FILE *f = g->procs_from[0] && !m ? fopen(g->procs_from, "re") : NULL;
  for (int i = 0; i < g->nprocs && n < max; i++)
    if (!m || (g->procs[i].gi == m->gi && g->procs[i].ci == m->ci)) out[n++] = g->procs[i];
  char line[128];
  while (f && n < max && fgets(line, sizeof line, f)) {
    struct proc p = {.gi = NONE, .ci = NONE, .bytes = 1 << 30};
    if (sscanf(line, "%u %llu", &p.pid, &p.bytes) >= 1) out[n++] = p;
  }
  if (f) fclose(f);
  return n;
}
#define RUNNING(fn, type, fill)                                                                                        \
  EXPORT nvmlReturn_t fn(nvmlDevice_t d, unsigned int *n, type *out)                                                   \
      MIGCALL(d, struct proc p[2 * MAX_PROCS]; unsigned have = procs(g, m, p, 2 * MAX_PROCS);                          \
              if (*n < have) r = NVML_ERROR_INSUFFICIENT_SIZE; else for (unsigned i = 0; i < have; i++) {              \
                out[i].pid = p[i].pid; out[i].usedGpuMemory = p[i].bytes; fill; } *n = have)
RUNNING(nvmlDeviceGetComputeRunningProcesses, nvmlProcessInfo_v1_t, )
RUNNING(nvmlDeviceGetComputeRunningProcesses_v2, nvmlProcessInfo_v2_t, (out[i].gpuInstanceId = p[i].gi, out[i].computeInstanceId = p[i].ci))
RUNNING(nvmlDeviceGetComputeRunningProcesses_v3, nvmlProcessInfo_t, (out[i].gpuInstanceId = p[i].gi, out[i].computeInstanceId = p[i].ci))
