/* fields.c: nvmlDeviceGetFieldValues. */
#include "play.h"

enum { U = NVML_VALUE_TYPE_UNSIGNED_INT, ULL = NVML_VALUE_TYPE_UNSIGNED_LONG_LONG, I = NVML_VALUE_TYPE_SIGNED_INT };

/* Fields that are a number of the GPU, in the type that the real driver gives for them. */
static const struct {
  int id, type;
  enum key key;
} plain[] = {
    {NVML_FI_DEV_ECC_CURRENT, U, K_ecc}, {NVML_FI_DEV_ECC_SBE_VOL_TOTAL, ULL, K_ecc_sbe}, {NVML_FI_DEV_ECC_DBE_VOL_TOTAL, ULL, K_ecc_dbe},
    {NVML_FI_DEV_ECC_SBE_AGG_TOTAL, ULL, K_ecc_sbe_agg}, {NVML_FI_DEV_ECC_DBE_AGG_TOTAL, ULL, K_ecc_dbe_agg}, {NVML_FI_DEV_RETIRED_SBE, U, K_retired_sbe},
    {NVML_FI_DEV_RETIRED_DBE, U, K_retired_dbe}, {NVML_FI_DEV_RETIRED_PENDING, U, K_retired_pending}, {NVML_FI_DEV_MEMORY_TEMP, U, K_hbm_temp_c},
    {NVML_FI_DEV_PCIE_REPLAY_COUNTER, ULL, K_pcie_replay}, {NVML_FI_DEV_PCIE_REPLAY_ROLLOVER_COUNTER, ULL, K_pcie_rollover},
    {NVML_FI_DEV_PCIE_L0_TO_RECOVERY_COUNTER, ULL, K_pcie_l0}, {NVML_FI_DEV_PCIE_COUNT_CORRECTABLE_ERRORS, U, K_pcie_correctable},
    {NVML_FI_DEV_PCIE_COUNT_NAKS_RECEIVED, U, K_pcie_nak_rx}, {NVML_FI_DEV_PCIE_COUNT_NAKS_SENT, U, K_pcie_nak_tx}, {NVML_FI_DEV_PCIE_COUNT_BAD_TLP, U, K_pcie_bad_tlp},
    {NVML_FI_DEV_PCIE_COUNT_BAD_DLLP, U, K_pcie_bad_dllp}, {NVML_FI_DEV_PCIE_COUNT_NON_FATAL_ERROR, U, K_pcie_nonfatal}, {NVML_FI_DEV_PCIE_COUNT_FATAL_ERROR, U, K_pcie_fatal},
    {NVML_FI_DEV_PCIE_COUNT_LCRC_ERROR, U, K_pcie_lcrc}, {NVML_FI_DEV_REMAPPED_COR, U, K_remap_cor}, {NVML_FI_DEV_REMAPPED_UNC, U, K_remap_unc},
    {NVML_FI_DEV_REMAPPED_PENDING, U, K_remap_pending}, {NVML_FI_DEV_REMAPPED_FAILURE, U, K_remap_failure}, {NVML_FI_DEV_POWER_AVERAGE, U, K_power_mw},
    {NVML_FI_DEV_POWER_INSTANT, U, K_power_mw}, {NVML_FI_DEV_POWER_CURRENT_LIMIT, U, K_power_limit_mw}, {NVML_FI_DEV_POWER_REQUESTED_LIMIT, U, K_power_limit_mw},
    {NVML_FI_DEV_POWER_MIN_LIMIT, U, K_power_min_mw}, {NVML_FI_DEV_POWER_MAX_LIMIT, U, K_power_max_mw}, {NVML_FI_DEV_POWER_DEFAULT_LIMIT, U, K_power_max_mw},
    {NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT, I, K_shutdown_tlimit}, {NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT, I, K_slowdown_tlimit},
    {NVML_FI_DEV_TEMPERATURE_MEM_MAX_TLIMIT, I, K_mem_tlimit}, {NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT, I, K_max_tlimit},
    {NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, U, K_recovery_action}, {NVML_FI_DEV_C2C_LINK_COUNT, U, K_c2c_links}, {NVML_FI_DEV_NVLINK_LINK_COUNT, U, K_nvlinks},
};

/* Fields that are a number of one link, by their scope, and the first and the last generation of NVLink that has them. */
static const struct {
  int id, from, to;
  enum link_key key;
} of_link[] = {
    {NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY, 1, 4, L_replay}, {NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY, 1, 4, L_recovery}, {NVML_FI_DEV_NVLINK_ERROR_DL_CRC, 1, 4, L_crc},
    {NVML_FI_DEV_NVLINK_COUNT_MALFORMED_PACKET_ERRORS, 5, 9, L_rx_errors}, {NVML_FI_DEV_NVLINK_COUNT_BUFFER_OVERRUN_ERRORS, 5, 9, NLINKKEYS},
    {NVML_FI_DEV_NVLINK_COUNT_RCV_REMOTE_ERRORS, 5, 9, NLINKKEYS}, {NVML_FI_DEV_NVLINK_COUNT_RCV_GENERAL_ERRORS, 5, 9, NLINKKEYS},
    {NVML_FI_DEV_NVLINK_COUNT_XMIT_DISCARDS, 5, 9, L_tx_discards}, {NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS, 5, 9, L_recovery_failed},
    {NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS, 5, 9, L_recovery}, {NVML_FI_DEV_NVLINK_COUNT_EFFECTIVE_ERRORS, 5, 9, L_effective},
    {NVML_FI_DEV_NVLINK_COUNT_SYMBOL_ERRORS, 5, 9, L_symbol},
};

static int up(const struct gpu *g, int link) { return link >= (int)val(g, K_nvlinks_down) && g->link[link][L_state] == 0; }

/* Sums over the links of an old driver's totals. */
static double sum(const struct gpu *g, enum link_key k) {
  double v = 0;
  for (int l = 0; l < (int)g->key[K_nvlinks]; l++) v += g->link[l][k];
  return v;
}

/* Whether a field is about NVLinks. */
static int about_links(int id) {
  for (size_t i = 0; i < sizeof of_link / sizeof *of_link; i++)
    if (of_link[i].id == id) return 1;
  return (id >= NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_L0 && id <= NVML_FI_DEV_NVLINK_BANDWIDTH_C1_TOTAL) ||
         (id >= NVML_FI_DEV_NVLINK_SPEED_MBPS_L0 && id <= NVML_FI_DEV_NVLINK_SPEED_MBPS_COMMON) ||
         (id >= NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_L6 && id <= NVML_FI_DEV_NVLINK_THROUGHPUT_RAW_RX) ||
         (id >= NVML_FI_DEV_NVLINK_REMOTE_NVLINK_ID && id <= NVML_FI_DEV_NVLINK_GET_POWER_THRESHOLD) ||
         (id >= NVML_FI_DEV_NVLINK_COUNT_XMIT_PACKETS && id <= NVML_FI_DEV_NVLINK_COUNT_SYMBOL_BER);
}

static nvmlReturn_t link_field(struct gpu *g, const nvmlFieldValue_t *f, int *type, double *v) {
  int id = (int)f->fieldId, links = (int)g->key[K_nvlinks], link = (int)f->scopeId, all = f->scopeId == NONE;
  if (links == 0 || g->key[K_mig] != 0) return NVML_ERROR_NOT_SUPPORTED;
  if (!all && link >= links) return NVML_ERROR_INVALID_ARGUMENT;
  if (id >= NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_L0 && id <= NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL && P.machine->link_version >= 5)
    return NVML_ERROR_NOT_SUPPORTED;
  switch (id) {
  case NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX:
  case NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX:
    if (P.machine->link_version >= 5) return NVML_ERROR_NOT_SUPPORTED;
    *v = floor(g->total[id == NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX ? T_TX : T_RX] / 1024 / (all ? 1 : links));
    return NVML_SUCCESS;
  case NVML_FI_DEV_NVLINK_COUNT_XMIT_BYTES:
  case NVML_FI_DEV_NVLINK_COUNT_RCV_BYTES:
    if (P.machine->link_version < 5) return NVML_ERROR_NOT_SUPPORTED;
    if (all) return NVML_ERROR_INVALID_ARGUMENT;
    *v = floor(g->total[id == NVML_FI_DEV_NVLINK_COUNT_XMIT_BYTES ? T_TX : T_RX] / links);
    return NVML_SUCCESS;
  case NVML_FI_DEV_NVLINK_GET_STATE:
    *type = U;
    *v = up(g, link) ? NVML_NVLINK_STATE_ACTIVE : g->link[link][L_state] > 1 ? g->link[link][L_state] : NVML_NVLINK_STATE_INACTIVE;
    return NVML_SUCCESS;
  case NVML_FI_DEV_NVLINK_GET_SPEED: *type = U, *v = up(g, link) ? g->key[K_nvlink_speed] : 0; return NVML_SUCCESS;
  case NVML_FI_DEV_NVLINK_GET_VERSION: *type = U, *v = P.machine->link_version; return NVML_SUCCESS;
  case NVML_FI_DEV_NVLINK_SPEED_MBPS_COMMON: *type = U, *v = g->key[K_nvlink_speed]; return NVML_SUCCESS;
  case NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL: *v = sum(g, L_crc) + g->key[K_nvlink_crc]; return NVML_SUCCESS;
  case NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL: *v = sum(g, L_replay) + g->key[K_nvlink_replay]; return NVML_SUCCESS;
  case NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL: *v = sum(g, L_recovery) + g->key[K_nvlink_recovery]; return NVML_SUCCESS;
  }
  if (id >= NVML_FI_DEV_NVLINK_ECC_DATA_ERROR_COUNT_L0 && id <= NVML_FI_DEV_NVLINK_ECC_DATA_ERROR_COUNT_L11) {
    link = id - NVML_FI_DEV_NVLINK_ECC_DATA_ERROR_COUNT_L0;
    if (link >= links || P.machine->arch != NVML_DEVICE_ARCH_AMPERE) return NVML_ERROR_NOT_SUPPORTED;
    *v = g->link[link][L_ecc];
    return NVML_SUCCESS;
  }
  for (size_t i = 0; i < sizeof of_link / sizeof *of_link; i++) {
    if (of_link[i].id != id) continue;
    if (all || P.machine->link_version < of_link[i].from || P.machine->link_version > of_link[i].to || !up(g, link)) return NVML_ERROR_NOT_SUPPORTED;
    *v = of_link[i].key == NLINKKEYS ? 0 : g->link[link][of_link[i].key];
    /* The GPU's own numbers, of before there were any of links, count for link 0. */
    if (link == 0 && of_link[i].key == L_replay) *v += g->key[K_nvlink_replay];
    if (link == 0 && of_link[i].key == L_recovery) *v += g->key[K_nvlink_recovery];
    if (link == 0 && of_link[i].key == L_crc) *v += g->key[K_nvlink_crc];
    return NVML_SUCCESS;
  }
  return NVML_ERROR_NOT_SUPPORTED;
}

static nvmlReturn_t field(struct gpu *g, nvmlFieldValue_t *f) {
  int id = (int)f->fieldId, type = ULL, code = play_fault(id), arch = P.machine->arch;
  double v = 0;
  if (code) return (nvmlReturn_t)code;
  if (id < 1 || id > P.max_field) return NVML_ERROR_INVALID_ARGUMENT;
  if (id >= NVML_FI_DEV_ECC_SBE_VOL_TOTAL && id <= NVML_FI_DEV_ECC_DBE_AGG_TOTAL && g->key[K_ecc] == 0) return NVML_ERROR_NOT_SUPPORTED;
  if (id >= NVML_FI_DEV_RETIRED_SBE && id <= NVML_FI_DEV_RETIRED_PENDING && !P.machine->retired_pages) return NVML_ERROR_NOT_SUPPORTED;
  if (id >= NVML_FI_DEV_REMAPPED_COR && id <= NVML_FI_DEV_REMAPPED_FAILURE && arch < NVML_DEVICE_ARCH_AMPERE) return NVML_ERROR_NOT_SUPPORTED;
  if (id >= NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT && id <= NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT && arch < NVML_DEVICE_ARCH_ADA) return NVML_ERROR_NOT_SUPPORTED;
  if (id == NVML_FI_DEV_MEMORY_TEMP && (arch < NVML_DEVICE_ARCH_AMPERE || arch == NVML_DEVICE_ARCH_ADA)) return NVML_ERROR_NOT_SUPPORTED;
  if (id == NVML_FI_DEV_NVLINK_LINK_COUNT && (g->key[K_nvlinks] == 0 || g->key[K_mig] != 0)) return NVML_ERROR_NOT_SUPPORTED;
  nvmlReturn_t r = NVML_SUCCESS;
  if (about_links(id)) r = link_field(g, f, &type, &v);
  else
    switch (id) {
    case NVML_FI_DEV_PERF_POLICY_POWER: v = g->total[T_POWERCAP]; break;
    case NVML_FI_DEV_PERF_POLICY_THERMAL:
    case NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN: v = g->total[T_THERMAL]; break;
    case NVML_FI_DEV_PERF_POLICY_SYNC_BOOST:
    case NVML_FI_DEV_PERF_POLICY_BOARD_LIMIT:
    case NVML_FI_DEV_PERF_POLICY_RELIABILITY:
    case NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN:
    case NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN: v = 0; break;
    case NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION: v = g->total[T_ENERGY]; break;
    case NVML_FI_DEV_PCIE_COUNT_TX_BYTES: type = U, v = (double)(unsigned)fmod(g->total[T_PTX], 4294967296.); break;
    case NVML_FI_DEV_PCIE_COUNT_RX_BYTES: type = U, v = (double)(unsigned)fmod(g->total[T_PRX], 4294967296.); break;
    case NVML_FI_DEV_C2C_LINK_GET_STATUS:
      if (f->scopeId >= (unsigned)g->key[K_c2c_links]) return NVML_ERROR_INVALID_ARGUMENT;
      type = U, v = f->scopeId < (unsigned)g->key[K_c2c_up];
      break;
    default:
      r = NVML_ERROR_NOT_SUPPORTED;
      for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (plain[i].id == id) r = NVML_SUCCESS, type = plain[i].type, v = val(g, plain[i].key);
    }
  if (r != NVML_SUCCESS) return r;
  f->valueType = (nvmlValueType_t)type;
  memset(&f->value, 0xA5, sizeof f->value); /* the bytes that a narrow type leaves are garbage in the real one as well */
  if (type == U) f->value.uiVal = (unsigned)v;
  else if (type == I) f->value.siVal = (int)v;
  else f->value.ullVal = (unsigned long long)v;
  return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t d, int n, nvmlFieldValue_t *f)
    CALL(d, int us = play_field_latency(n); play_pass(us); for (int i = 0; i < n; i++) {
      f[i].timestamp = (long long)(play_now() * 1e6); f[i].latencyUsec = n > 0 ? us / n : 0; f[i].nvmlReturn = field(g, &f[i]); })
