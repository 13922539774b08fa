/*
 * libnvidia-ml.c plays an NVIDIA driver: compiled by build.sh into libnvidia-ml.so.1, it answers the real go-nvml as an
 * 8-GPU H100 node does. Types and prototypes come from NVIDIA's nvml.h in go-nvml, so a wrong struct does not compile.
 * Readings wobble with the clock (not at random): the same instant, GPU and profile give the same numbers.
 *
 * FORETOP_PLAY_NVML names a profile: a text file, looked at again when its mtime or size changes (checked at most each 20 ms).
 * Without it, or with an empty one, eight busy, healthy H100s are played. A bad line is told on stderr and skipped.
 * `#` starts a comment. GPU is an index or `*`. Later lines win. Write the file to a temporary name and rename it.
 *
 *   gpus N                       how many GPUs (default 8, at most 64); seen at nvmlInit
 *   driver TEXT | nvml TEXT | cuda N     versions (default 550.90.07, 12.550.90.07, 12040)
 *   name TEXT                    product name of all GPUs (default NVIDIA H100 80GB HBM3)
 *   cc MAJOR MINOR               CUDA compute capability (default 9 0)
 *   gpm 0|1                      GPM support (default 1: Hopper)
 *   max_field ID                 newest field id that this driver knows (default 199, an R550)
 *   freeze SECONDS               stop the clock there: readings stand still, counters too
 *   wobble 0|1                   0: readings are exactly what the profile says
 *   init error CODE | init hang  what nvmlInit does (9 driver not loaded, 18 version mismatch, 4 no permission)
 *   crash                        the next call dies of SIGSEGV
 *   hang                         the next call, on whatever GPU, does not return while this line is there
 *   call NAME CODE               that function returns CODE (all versions of it are separate names)
 *   field ID CODE                that field's entry returns CODE
 *   gpu GPU lost                 every call on it returns GPU_IS_LOST (15)
 *   gpu GPU gone                 as lost, and not enumerated any more from the next nvmlInit: higher indices move down
 *   gpu GPU error CODE           every call on it returns CODE (999 unknown)
 *   gpu GPU hang                 calls on it do not return while this line is there
 *   gpu GPU latency_ms N         every call on it takes that long
 *   gpu GPU uuid TEXT | serial TEXT
 *   gpu GPU proc PID BYTES [GI CI]   a compute process; `gpu GPU noproc` forgets those said before
 *   gpu GPU procs_from PATH      lines `PID [BYTES]`, read at each question; a missing file is no process
 *   gpu GPU xid SEQ CODE         delivers Xid CODE to event sets made before SEQ was first seen
 *   gpu GPU KEY VALUE            a number; keys and defaults are in the table `keys` below
 */
#define _GNU_SOURCE
#define NVML_NO_UNVERSIONED_FUNC_DEFS 1
#include "nvml.h"
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))
#define MAX_GPUS 64
#define MAX_PROCS 64
#define MAX_FAULTS 128

/* One number of a GPU: how the profile names it, its default and by what share of it it wobbles. */
#define KEYS(X)                                                                                                        \
  X(power_mw, 450000, .08) X(power_limit_mw, 700000, 0) X(power_min_mw, 200000, 0) X(power_max_mw, 700000, 0)          \
  X(util, 96, .04) X(mem_util, 48, .2) X(temp_c, 56, .04) X(hbm_temp_c, 64, .04)                                       \
  X(slowdown_c, 87, 0) X(shutdown_c, 92, 0) X(mem_total, 85520809984., 0) X(mem_reserved, 570425344, 0)                \
  X(mem_used, 71000000000., .002) X(sm_mhz, 1755, .02) X(mem_mhz, 2619, 0) X(max_sm_mhz, 1980, 0)                      \
  X(max_mem_mhz, 2619, 0) X(throttle, 4, 0) X(ecc, 1, 0) X(ecc_sbe, 0, 0) X(ecc_dbe, 0, 0) X(ecc_sbe_agg, 2, 0)        \
  X(ecc_dbe_agg, 0, 0) X(remap_cor, 0, 0) X(remap_unc, 0, 0) X(remap_pending, 0, 0) X(remap_failure, 0, 0)             \
  X(pcie_gen, 5, 0) X(pcie_width, 16, 0) X(pcie_max_gen, 5, 0) X(pcie_max_width, 16, 0) X(pcie_replay, 0, 0)           \
  X(pcie_tx_bps, 2.1e9, .3) X(pcie_rx_bps, 1.4e9, .3) X(nvlinks, 18, 0) X(nvlinks_down, 0, 0)                          \
  X(nvlink_tx_bps, 9.5e10, .3) X(nvlink_rx_bps, 9.5e10, .3) X(nvlink_crc, 0, 0) X(nvlink_replay, 0, 0)                 \
  X(nvlink_recovery, 0, 0) X(sm_pct, 88, .06) X(occupancy_pct, 31, .1) X(tensor_pct, 42, .12) X(dram_pct, 51, .1)      \
  X(fp16_pct, 6, .1) X(fp32_pct, 9, .1) X(fp64_pct, 0, 0) X(recovery_action, 0, 0) X(persistence, 1, 0)                \
  X(compute_mode, 0, 0) X(mig, 0, 0) X(throttle_power_share, .2, 0) X(throttle_thermal_share, 0, 0)

enum key {
#define X(n, d, w) K_##n,
  KEYS(X)
#undef X
      NKEYS
};
static const struct {
  const char *name;
  double def, wobble;
} keys[NKEYS] = {
#define X(n, d, w) {#n, d, w},
    KEYS(X)
#undef X
};

enum total { T_ENERGY, T_TX, T_RX, T_PTX, T_PRX, T_POWERCAP, T_THERMAL, NTOTALS };

struct proc {
  unsigned pid, gi, ci;
  unsigned long long bytes;
};
struct nvmlDevice_st {
  int n; /* as the profile counts; the NVML index leaves out the gone */
  double key[NKEYS];
  int lost, gone, hang, error, latency_ms, nprocs;
  struct proc procs[MAX_PROCS];
  char uuid[NVML_DEVICE_UUID_BUFFER_SIZE], serial[NVML_DEVICE_SERIAL_BUFFER_SIZE], procs_from[512];
  unsigned xid_seq, xid_code;
  double total[NTOTALS], at; /* counters, integrated over time up to at */
};
struct nvmlEventSet_st {
  int n;
  unsigned seen[MAX_GPUS];
  unsigned long long mask[MAX_GPUS];
};
struct nvmlGpmSample_st {
  const struct nvmlDevice_st *gpu;
  double at, total[NTOTALS];
};
struct fault {
  char name[64];
  int field, code;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below; never held while a call sleeps */
static struct nvmlDevice_st gpus[MAX_GPUS];
static nvmlDevice_t shown[MAX_GPUS]; /* by NVML index, fixed at nvmlInit */
static int nshown, inits, nfaults;
static struct fault faults[MAX_FAULTS];
static struct {
  int gpus, cuda, cc[2], gpm, max_field, wobble, init_error, init_hang, crash, hang;
  double freeze;
  char driver[80], nvml[80], name[96];
} P;
static struct statx_timestamp profile_mtime;
static unsigned long long profile_size;
static double profile_checked = -1;
static int profile_read;

static double mono(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double now(void) { return P.freeze >= 0 ? P.freeze : mono(); }

static void defaults(void) {
  memset(&P, 0, sizeof P);
  P.gpus = 8, P.cuda = 12040, P.cc[0] = 9, P.gpm = 1, P.max_field = 199, P.wobble = 1, P.freeze = -1;
  strcpy(P.driver, "550.90.07"), strcpy(P.nvml, "12.550.90.07"), strcpy(P.name, "NVIDIA H100 80GB HBM3");
  nfaults = 0;
  for (int i = 0; i < MAX_GPUS; i++) {
    struct nvmlDevice_st *g = &gpus[i];
    double total[NTOTALS], at = g->at;
    memcpy(total, g->total, sizeof total);
    memset(g, 0, sizeof *g);
    memcpy(g->total, total, sizeof total);
    g->n = i, g->at = at;
    for (int k = 0; k < NKEYS; k++) g->key[k] = keys[k].def;
    snprintf(g->uuid, sizeof g->uuid, "GPU-f0e70b00-%04x-4a5e-8d21-%012x", i, 0x5eed00 + i);
    snprintf(g->serial, sizeof g->serial, "16534230%05d", 11000 + i);
  }
}

static void add_fault(const char *name, int field, int code) {
  if (nfaults == MAX_FAULTS) return;
  snprintf(faults[nfaults].name, sizeof faults[0].name, "%s", name);
  faults[nfaults].field = field, faults[nfaults++].code = code;
}

static int gpu_line(struct nvmlDevice_st *g, const char *word, const char *rest) {
  struct proc p = {.gi = 0xFFFFFFFF, .ci = 0xFFFFFFFF};
  if (!strcmp(word, "lost")) return g->lost = 1;
  if (!strcmp(word, "gone")) return g->lost = g->gone = 1;
  if (!strcmp(word, "hang")) return g->hang = 1;
  if (!strcmp(word, "error")) return sscanf(rest, "%d", &g->error) == 1;
  if (!strcmp(word, "latency_ms")) return sscanf(rest, "%d", &g->latency_ms) == 1;
  if (!strcmp(word, "uuid")) return snprintf(g->uuid, sizeof g->uuid, "%s", rest) > 0;
  if (!strcmp(word, "serial")) return snprintf(g->serial, sizeof g->serial, "%s", rest) > 0;
  if (!strcmp(word, "procs_from")) return snprintf(g->procs_from, sizeof g->procs_from, "%s", rest) > 0;
  if (!strcmp(word, "noproc")) return g->nprocs = g->procs_from[0] = 0, 1;
  if (!strcmp(word, "xid")) return sscanf(rest, "%u %u", &g->xid_seq, &g->xid_code) == 2;
  if (!strcmp(word, "proc")) {
    if (g->nprocs == MAX_PROCS || sscanf(rest, "%u %llu %u %u", &p.pid, &p.bytes, &p.gi, &p.ci) < 2) return 0;
    g->procs[g->nprocs++] = p;
    return 1;
  }
  for (int k = 0; k < NKEYS; k++)
    if (!strcmp(word, keys[k].name)) return sscanf(rest, "%lf", &g->key[k]) == 1;
  return 0;
}

static int profile_line(char *s) {
  char word[64] = "", sub[64] = "", name[64];
  int n = 0, m = 0, a;
  sscanf(s, "%63s %n", word, &n);
  const char *rest = s + n;
  if (!word[0] || word[0] == '#') return 1;
  if (!strcmp(word, "gpu")) {
    if (sscanf(rest, "%63s %63s %n", name, sub, &m) != 2) return 0;
    int all = !strcmp(name, "*"), i = atoi(name), ok = 1;
    if (!all && (i < 0 || i >= MAX_GPUS)) return 0;
    for (int j = all ? 0 : i; j <= (all ? MAX_GPUS - 1 : i); j++) ok &= gpu_line(&gpus[j], sub, rest + m) != 0;
    return ok;
  }
  if (!strcmp(word, "gpus")) return sscanf(rest, "%d", &P.gpus) == 1 && P.gpus >= 0 && P.gpus <= MAX_GPUS;
  if (!strcmp(word, "driver")) return snprintf(P.driver, sizeof P.driver, "%s", rest) > 0;
  if (!strcmp(word, "nvml")) return snprintf(P.nvml, sizeof P.nvml, "%s", rest) > 0;
  if (!strcmp(word, "name")) return snprintf(P.name, sizeof P.name, "%s", rest) > 0;
  if (!strcmp(word, "cuda")) return sscanf(rest, "%d", &P.cuda) == 1;
  if (!strcmp(word, "cc")) return sscanf(rest, "%d %d", &P.cc[0], &P.cc[1]) == 2;
  if (!strcmp(word, "gpm")) return sscanf(rest, "%d", &P.gpm) == 1;
  if (!strcmp(word, "max_field")) return sscanf(rest, "%d", &P.max_field) == 1;
  if (!strcmp(word, "wobble")) return sscanf(rest, "%d", &P.wobble) == 1;
  if (!strcmp(word, "freeze")) return sscanf(rest, "%lf", &P.freeze) == 1;
  if (!strcmp(word, "crash")) return P.crash = 1;
  if (!strcmp(word, "hang")) return P.hang = 1;
  if (!strcmp(word, "init")) return !strncmp(rest, "hang", 4) ? (P.init_hang = 1) : sscanf(rest, "error %d", &P.init_error);
  if (!strcmp(word, "call") && sscanf(rest, "%63s %d", name, &a) == 2) return add_fault(name, -1, a), 1;
  if (!strcmp(word, "field") && sscanf(rest, "%d %d", &m, &a) == 2) return add_fault("", m, a), 1;
  return 0;
}

/* Reads the profile again when it changed. Called with the lock held. */
static void reload(void) {
  const char *path = getenv("FORETOP_PLAY_NVML");
  struct statx st; /* not stat: its symbol is new in glibc 2.33 */
  char line[1024];
  if (profile_checked >= 0 && mono() - profile_checked < .02) return;
  profile_checked = mono();
  int there = path && statx(AT_FDCWD, path, 0, STATX_MTIME | STATX_SIZE, &st) == 0;
  if (profile_read && (!there || (st.stx_mtime.tv_sec == profile_mtime.tv_sec && st.stx_size == profile_size &&
                                  st.stx_mtime.tv_nsec == profile_mtime.tv_nsec)))
    return;
  FILE *f = there ? fopen(path, "re") : NULL;
  if (profile_read && !f) return; /* a profile that went away changes nothing */
  defaults();
  profile_read = 1;
  if (!f) return;
  profile_mtime = st.stx_mtime, profile_size = st.stx_size;
  while (fgets(line, sizeof line, f)) {
    line[strcspn(line, "\r\n")] = 0;
    if (!profile_line(line)) fprintf(stderr, "libnvidia-ml (played): bad profile line: %s\n", line);
  }
  fclose(f);
}

/* The value of a key at this instant: the profile's, moved by a slow and a fast wave with a phase of its own per GPU and key. */
static double val(const struct nvmlDevice_st *g, enum key k) {
  double v = g->key[k], t = now(), phase = g->n * 2.399 + k * .7;
  if (P.wobble && keys[k].wobble > 0)
    v *= 1 + keys[k].wobble * (.7 * sin(t / 3.1 + phase) + .3 * sin(t * 1.7 + 2 * phase));
  if ((k == K_util || (k >= K_sm_pct && k <= K_fp64_pct)) && v > 100) v = 100;
  return v;
}

/* Brings a GPU's counters up to this instant. A fresh one starts as if it had run since the machine's start. */
static void integrate(struct nvmlDevice_st *g) {
  double t = now(), dt = t - g->at;
  const double rate[NTOTALS] = {val(g, K_power_mw), val(g, K_nvlink_tx_bps), val(g, K_nvlink_rx_bps), val(g, K_pcie_tx_bps),
                                val(g, K_pcie_rx_bps), 1e9 * g->key[K_throttle_power_share], 1e9 * g->key[K_throttle_thermal_share]};
  if (dt <= 0) return;
  for (int i = 0; i < NTOTALS; i++) g->total[i] += rate[i] * dt;
  g->at = t;
}

static void nap(int ms) {
  struct timespec t = {ms / 1000, (ms % 1000) * 1000000L}, left;
  while (nanosleep(&t, &left) == -1) t = left;
}

/* What stands before every call: faults of the profile, hangs, latency. With the lock held, gives it back so. */
static nvmlReturn_t enter(const char *name, nvmlDevice_t d) {
  reload();
  if (P.crash) *(volatile int *)NULL = 0;
  while (P.hang || (d && d->hang)) {
    pthread_mutex_unlock(&lock);
    nap(20);
    pthread_mutex_lock(&lock);
    reload();
  }
  if (!inits) return NVML_ERROR_UNINITIALIZED;
  if (d && (d < gpus || d >= gpus + MAX_GPUS)) return NVML_ERROR_INVALID_ARGUMENT;
  if (d && d->latency_ms) {
    int ms = d->latency_ms;
    pthread_mutex_unlock(&lock);
    nap(ms);
    pthread_mutex_lock(&lock);
  }
  if (d && d->lost) return NVML_ERROR_GPU_IS_LOST;
  if (d && d->error) return (nvmlReturn_t)d->error;
  for (int i = 0; i < nfaults; i++)
    if (!strcmp(faults[i].name, name)) return (nvmlReturn_t)faults[i].code;
  if (d) integrate(d);
  return NVML_SUCCESS;
}

/* A function of the library: body runs with the lock held, after the faults, and sets r. */
#define CALL(dev, ...)                                                                                                 \
  {                                                                                                                    \
    pthread_mutex_lock(&lock);                                                                                         \
    nvmlReturn_t r = enter(__func__, dev);                                                                             \
    if (r == NVML_SUCCESS) {                                                                                           \
      __VA_ARGS__;                                                                                                     \
    }                                                                                                                  \
    pthread_mutex_unlock(&lock);                                                                                       \
    return r;                                                                                                          \
  }

static nvmlReturn_t text(char *to, unsigned len, const char *s) {
  return snprintf(to, len, "%s", s) < (int)len ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_SIZE;
}

static int nvml_index(nvmlDevice_t d) {
  for (int i = 0; i < nshown; i++)
    if (shown[i] == d) return i;
  return -1;
}

EXPORT nvmlReturn_t nvmlInit_v2(void) {
  nvmlReturn_t r = NVML_SUCCESS;
  pthread_mutex_lock(&lock);
  reload();
  if (P.crash) *(volatile int *)NULL = 0;
  while (P.init_hang) {
    pthread_mutex_unlock(&lock);
    nap(20);
    pthread_mutex_lock(&lock);
    reload();
  }
  if (P.init_error) r = (nvmlReturn_t)P.init_error;
  else if (inits++ == 0) {
    nshown = 0;
    for (int i = 0; i < P.gpus; i++)
      if (!gpus[i].gone) shown[nshown++] = &gpus[i];
  }
  pthread_mutex_unlock(&lock);
  return r;
}
EXPORT nvmlReturn_t nvmlInit(void) { return nvmlInit_v2(); }
EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned int flags) { return (void)flags, nvmlInit_v2(); }
EXPORT nvmlReturn_t nvmlShutdown(void) CALL(NULL, inits--)
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
  case 15: return "GPU is lost";
  case 16: return "GPU requires reset";
  case 17: return "GPU access blocked by the operating system";
  case 18: return "Driver/library version mismatch";
  case 999: return "Unknown Error";
  default: return "Played Error";
  }
}
EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *s, unsigned int n) CALL(NULL, r = text(s, n, P.driver))
EXPORT nvmlReturn_t nvmlSystemGetNVMLVersion(char *s, unsigned int n) CALL(NULL, r = text(s, n, P.nvml))
EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *v) CALL(NULL, *v = P.cuda)
EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *v) CALL(NULL, *v = P.cuda)

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *n) CALL(NULL, *n = (unsigned)nshown)
EXPORT nvmlReturn_t nvmlDeviceGetCount(unsigned int *n) { return nvmlDeviceGetCount_v2(n); }
EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int i, nvmlDevice_t *d)
    CALL(NULL, if (i >= (unsigned)nshown) r = NVML_ERROR_INVALID_ARGUMENT;
         else if (shown[i]->lost) r = NVML_ERROR_GPU_IS_LOST; else *d = shown[i])
EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int i, nvmlDevice_t *d) { return nvmlDeviceGetHandleByIndex_v2(i, d); }
EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *d)
    CALL(NULL, r = NVML_ERROR_NOT_FOUND; for (int i = 0; i < nshown; i++) if (!strcmp(uuid, shown[i]->uuid)) r = (*d = shown[i], NVML_SUCCESS))

EXPORT nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t d, char *s, unsigned int n) CALL(d, r = text(s, n, P.name))
EXPORT nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t d, char *s, unsigned int n) CALL(d, r = text(s, n, d->uuid))
EXPORT nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t d, char *s, unsigned int n) CALL(d, r = text(s, n, d->serial))
EXPORT nvmlReturn_t nvmlDeviceGetVbiosVersion(nvmlDevice_t d, char *s, unsigned int n) CALL(d, r = text(s, n, "96.00.74.00.0D"))
EXPORT nvmlReturn_t nvmlDeviceGetBoardPartNumber(nvmlDevice_t d, char *s, unsigned int n) CALL(d, r = text(s, n, "692-2G520-0200-003"))
EXPORT nvmlReturn_t nvmlDeviceGetInforomImageVersion(nvmlDevice_t d, char *s, unsigned int n) CALL(d, r = text(s, n, "G520.0200.00.05"))
EXPORT nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t d, unsigned int *i) CALL(d, *i = (unsigned)nvml_index(d))
EXPORT nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t d, unsigned int *i) CALL(d, *i = (unsigned)d->n)
EXPORT nvmlReturn_t nvmlDeviceGetModuleId(nvmlDevice_t d, unsigned int *i) CALL(d, *i = (unsigned)d->n + 1)
EXPORT nvmlReturn_t nvmlDeviceGetNumaNodeId(nvmlDevice_t d, unsigned int *i) CALL(d, *i = (unsigned)d->n / 4)
EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t d, nvmlPciInfo_t *p)
    CALL(d, static const int bus[] = {0x19, 0x3b, 0x4c, 0x5d, 0x9b, 0xbb, 0xcb, 0xdb}; memset(p, 0, sizeof *p);
         p->bus = (unsigned)(d->n < 8 ? bus[d->n] : 0xe0 + d->n % 32); p->domain = d->n < 40 ? 0 : 1; p->pciDeviceId = 0x233010de;
         p->pciSubSystemId = 0x16c110de; snprintf(p->busId, sizeof p->busId, "%08X:%02X:00.0", p->domain, p->bus);
         snprintf(p->busIdLegacy, sizeof p->busIdLegacy, "%04X:%02X:00.0", p->domain, p->bus))
EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t d, nvmlPciInfo_t *p) { return nvmlDeviceGetPciInfo_v3(d, p); }
EXPORT nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t d, int *a, int *b) CALL(d, *a = P.cc[0]; *b = P.cc[1])

/* Plain numbers of one GPU. */
#define NUMBER(fn, type, key)                                                                                          \
  EXPORT nvmlReturn_t fn(nvmlDevice_t d, type *v) CALL(d, *v = (type)val(d, K_##key))
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

EXPORT nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t d, unsigned int *lo, unsigned int *hi)
    CALL(d, *lo = (unsigned)val(d, K_power_min_mw); *hi = (unsigned)val(d, K_power_max_mw))
EXPORT nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t d, unsigned long long *mj) CALL(d, *mj = (unsigned long long)d->total[T_ENERGY])
EXPORT nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t d, nvmlUtilization_t *u)
    CALL(d, if (d->key[K_mig] != 0) r = NVML_ERROR_NOT_SUPPORTED; else { u->gpu = (unsigned)val(d, K_util); u->memory = (unsigned)val(d, K_mem_util); })
EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t d, nvmlMemory_v2_t *m)
    CALL(d, if (m->version != nvmlMemory_v2) r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH; else {
      m->total = (unsigned long long)val(d, K_mem_total); m->reserved = (unsigned long long)val(d, K_mem_reserved);
      m->used = (unsigned long long)val(d, K_mem_used); m->free = m->total - m->reserved - m->used; })
EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t d, nvmlMemory_t *m) /* counts what is reserved as used */
    CALL(d, m->total = (unsigned long long)val(d, K_mem_total);
         m->used = (unsigned long long)val(d, K_mem_used) + (unsigned long long)val(d, K_mem_reserved); m->free = m->total - m->used)
EXPORT nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t d, nvmlTemperatureSensors_t s, unsigned int *v)
    CALL(d, if (s != NVML_TEMPERATURE_GPU) r = NVML_ERROR_INVALID_ARGUMENT; else *v = (unsigned)val(d, K_temp_c))
EXPORT nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t d, nvmlTemperature_t *t)
    CALL(d, if (t->version != nvmlTemperature_v1) r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH; else t->temperature = (int)val(d, K_temp_c))
EXPORT nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t d, nvmlTemperatureThresholds_t t, unsigned int *v)
    CALL(d, if (t == NVML_TEMPERATURE_THRESHOLD_SHUTDOWN) *v = (unsigned)val(d, K_shutdown_c);
         else if (t == NVML_TEMPERATURE_THRESHOLD_SLOWDOWN) *v = (unsigned)val(d, K_slowdown_c); else r = NVML_ERROR_NOT_SUPPORTED)
EXPORT nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t d, nvmlClockType_t t, unsigned int *v)
    CALL(d, *v = (unsigned)val(d, t == NVML_CLOCK_MEM ? K_mem_mhz : K_sm_mhz))
EXPORT nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t d, nvmlClockType_t t, unsigned int *v)
    CALL(d, *v = (unsigned)val(d, t == NVML_CLOCK_MEM ? K_max_mem_mhz : K_max_sm_mhz))
EXPORT nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t d, nvmlEnableState_t *cur, nvmlEnableState_t *pending)
    CALL(d, *cur = *pending = (nvmlEnableState_t)val(d, K_ecc))
EXPORT nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t d, nvmlMemoryErrorType_t t, nvmlEccCounterType_t c, unsigned long long *v)
    CALL(d, if (d->key[K_ecc] == 0) r = NVML_ERROR_NOT_SUPPORTED; else *v = (unsigned long long)val(d,
         t == NVML_MEMORY_ERROR_TYPE_CORRECTED ? (c == NVML_VOLATILE_ECC ? K_ecc_sbe : K_ecc_sbe_agg) : (c == NVML_VOLATILE_ECC ? K_ecc_dbe : K_ecc_dbe_agg)))
EXPORT nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t d, unsigned int *cor, unsigned int *unc, unsigned int *pending, unsigned int *failed)
    CALL(d, *cor = (unsigned)val(d, K_remap_cor); *unc = (unsigned)val(d, K_remap_unc); *pending = (unsigned)val(d, K_remap_pending);
         *failed = (unsigned)val(d, K_remap_failure))
EXPORT nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t d, unsigned int *cur, unsigned int *pending) CALL(d, *cur = *pending = (unsigned)val(d, K_mig))
EXPORT nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t d, unsigned int link, nvmlEnableState_t *v)
    CALL(d, if (link >= (unsigned)val(d, K_nvlinks)) r = NVML_ERROR_INVALID_ARGUMENT;
         else *v = link >= (unsigned)val(d, K_nvlinks_down) ? NVML_FEATURE_ENABLED : NVML_FEATURE_DISABLED)

/* One field. Values of the type that the real driver gives for it. */
static nvmlReturn_t field(nvmlDevice_t d, nvmlFieldValue_t *f) {
  int id = (int)f->fieldId, links = (int)val(d, K_nvlinks);
  enum { U = NVML_VALUE_TYPE_UNSIGNED_INT, ULL = NVML_VALUE_TYPE_UNSIGNED_LONG_LONG, I = NVML_VALUE_TYPE_SIGNED_INT } type = ULL;
  double v;
  for (int i = 0; i < nfaults; i++)
    if (faults[i].field == id) return (nvmlReturn_t)faults[i].code;
  if (id < 1 || id > P.max_field) return NVML_ERROR_INVALID_ARGUMENT;
  if (id >= NVML_FI_DEV_ECC_SBE_VOL_TOTAL && id <= NVML_FI_DEV_ECC_DBE_AGG_TOTAL && d->key[K_ecc] == 0) return NVML_ERROR_NOT_SUPPORTED;
  switch (id) {
  case NVML_FI_DEV_ECC_SBE_VOL_TOTAL: v = val(d, K_ecc_sbe); break;
  case NVML_FI_DEV_ECC_DBE_VOL_TOTAL: v = val(d, K_ecc_dbe); break;
  case NVML_FI_DEV_ECC_SBE_AGG_TOTAL: v = val(d, K_ecc_sbe_agg); break;
  case NVML_FI_DEV_ECC_DBE_AGG_TOTAL: v = val(d, K_ecc_dbe_agg); break;
  case NVML_FI_DEV_PERF_POLICY_POWER: v = d->total[T_POWERCAP]; break;
  case NVML_FI_DEV_PERF_POLICY_THERMAL: v = d->total[T_THERMAL]; break;
  case NVML_FI_DEV_MEMORY_TEMP: type = U, v = val(d, K_hbm_temp_c); break;
  case NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION: v = d->total[T_ENERGY]; break;
  case NVML_FI_DEV_NVLINK_LINK_COUNT: type = U, v = links; break;
  case NVML_FI_DEV_PCIE_REPLAY_COUNTER: v = val(d, K_pcie_replay); break;
  case NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX:
  case NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX:
    if (links == 0) return NVML_ERROR_NOT_SUPPORTED;
    v = floor(d->total[id == NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX ? T_TX : T_RX] / 1024);
    if (f->scopeId != 0xFFFFFFFF) v /= links; /* one link of them */
    break;
  case NVML_FI_DEV_NVLINK_COUNT_XMIT_BYTES: v = d->total[T_TX]; break;
  case NVML_FI_DEV_NVLINK_COUNT_RCV_BYTES: v = d->total[T_RX]; break;
  case NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY: v = val(d, K_nvlink_replay); break;
  case NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY: v = val(d, K_nvlink_recovery); break;
  case NVML_FI_DEV_NVLINK_ERROR_DL_CRC: v = val(d, K_nvlink_crc); break;
  case NVML_FI_DEV_NVLINK_GET_STATE:
    if ((int)f->scopeId >= links) return NVML_ERROR_INVALID_ARGUMENT;
    type = U, v = (int)f->scopeId >= (int)val(d, K_nvlinks_down);
    break;
  case NVML_FI_DEV_REMAPPED_COR: type = U, v = val(d, K_remap_cor); break;
  case NVML_FI_DEV_REMAPPED_UNC: type = U, v = val(d, K_remap_unc); break;
  case NVML_FI_DEV_REMAPPED_PENDING: type = U, v = val(d, K_remap_pending); break;
  case NVML_FI_DEV_REMAPPED_FAILURE: type = U, v = val(d, K_remap_failure); break;
  case NVML_FI_DEV_POWER_AVERAGE:
  case NVML_FI_DEV_POWER_INSTANT: type = U, v = val(d, K_power_mw); break;
  case NVML_FI_DEV_POWER_CURRENT_LIMIT:
  case NVML_FI_DEV_POWER_REQUESTED_LIMIT: type = U, v = val(d, K_power_limit_mw); break;
  case NVML_FI_DEV_POWER_MIN_LIMIT: type = U, v = val(d, K_power_min_mw); break;
  case NVML_FI_DEV_POWER_MAX_LIMIT:
  case NVML_FI_DEV_POWER_DEFAULT_LIMIT: type = U, v = val(d, K_power_max_mw); break;
  case NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT: type = I, v = -5; break;
  case NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT: type = I, v = 0; break;
  case NVML_FI_DEV_PCIE_COUNT_TX_BYTES: type = U, v = (double)(unsigned)fmod(d->total[T_PTX], 4294967296.); break;
  case NVML_FI_DEV_PCIE_COUNT_RX_BYTES: type = U, v = (double)(unsigned)fmod(d->total[T_PRX], 4294967296.); break;
  case NVML_FI_DEV_GET_GPU_RECOVERY_ACTION: type = U, v = val(d, K_recovery_action); break;
  default: return NVML_ERROR_NOT_SUPPORTED;
  }
  f->valueType = (nvmlValueType_t)type;
  memset(&f->value, 0xA5, sizeof f->value); /* the bytes that a narrow type leaves are garbage in the real one as well */
  if (type == U) f->value.uiVal = (unsigned)v;
  else if (type == I) f->value.siVal = (int)v;
  else f->value.ullVal = (unsigned long long)v;
  return NVML_SUCCESS;
}
EXPORT nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t d, int n, nvmlFieldValue_t *f)
    CALL(d, for (int i = 0; i < n; i++) { f[i].timestamp = (long long)(now() * 1e6); f[i].latencyUsec = 40; f[i].nvmlReturn = field(d, &f[i]); })

/* A GPU's processes into out (at most max), those of procs_from last; how many there are. */
static unsigned procs(nvmlDevice_t d, struct proc *out, unsigned max) {
  unsigned n = 0;
  FILE *f = d->procs_from[0] ? fopen(d->procs_from, "re") : NULL;
  for (int i = 0; i < d->nprocs && n < max; i++) out[n++] = d->procs[i];
  char line[128];
  while (f && n < max && fgets(line, sizeof line, f)) {
    struct proc p = {.gi = 0xFFFFFFFF, .ci = 0xFFFFFFFF, .bytes = 1 << 30};
    if (sscanf(line, "%u %llu", &p.pid, &p.bytes) >= 1) out[n++] = p;
  }
  if (f) fclose(f);
  return n;
}
#define RUNNING(fn, type, fill)                                                                                        \
  EXPORT nvmlReturn_t fn(nvmlDevice_t d, unsigned int *n, type *out)                                                   \
      CALL(d, struct proc p[2 * MAX_PROCS]; unsigned have = procs(d, p, 2 * MAX_PROCS);                                \
           if (*n < have) r = NVML_ERROR_INSUFFICIENT_SIZE; else for (unsigned i = 0; i < have; i++) {                 \
             out[i].pid = p[i].pid; out[i].usedGpuMemory = p[i].bytes; fill; } *n = have)
RUNNING(nvmlDeviceGetComputeRunningProcesses, nvmlProcessInfo_v1_t, )
RUNNING(nvmlDeviceGetComputeRunningProcesses_v2, nvmlProcessInfo_v2_t, (out[i].gpuInstanceId = p[i].gi, out[i].computeInstanceId = p[i].ci))
RUNNING(nvmlDeviceGetComputeRunningProcesses_v3, nvmlProcessInfo_t, (out[i].gpuInstanceId = p[i].gi, out[i].computeInstanceId = p[i].ci))

EXPORT nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t d, nvmlGpmSupport_t *s)
    CALL(d, if (s->version != NVML_GPM_SUPPORT_VERSION) r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH; else s->isSupportedDevice = (unsigned)P.gpm)
EXPORT nvmlReturn_t nvmlGpmSampleAlloc(nvmlGpmSample_t *s)
    CALL(NULL, *s = calloc(1, sizeof **s); if (!*s) r = NVML_ERROR_MEMORY)
EXPORT nvmlReturn_t nvmlGpmSampleFree(nvmlGpmSample_t s) CALL(NULL, free(s))
EXPORT nvmlReturn_t nvmlGpmSampleGet(nvmlDevice_t d, nvmlGpmSample_t s)
    CALL(d, if (!P.gpm || d->key[K_mig] != 0) r = NVML_ERROR_NOT_SUPPORTED; else { s->gpu = d; s->at = mono();
         memcpy(s->total, d->total, sizeof d->total); })
EXPORT nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *g)
    CALL(NULL, const struct nvmlGpmSample_st *a = g->sample1; const struct nvmlGpmSample_st *b = g->sample2;
         if (g->version != NVML_GPM_METRICS_GET_VERSION) r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
         else if (!a || !b || !a->gpu || a->gpu != b->gpu || b->at - a->at < .1) r = NVML_ERROR_INVALID_ARGUMENT;
         else for (unsigned i = 0; i < g->numMetrics; i++) {
           nvmlGpmMetric_t *m = &g->metrics[i]; double mib = 1048576 * (b->at - a->at); m->nvmlReturn = NVML_SUCCESS;
           switch (m->metricId) {
           case NVML_GPM_METRIC_GRAPHICS_UTIL: m->value = val(b->gpu, K_util); break;
           case NVML_GPM_METRIC_SM_UTIL: m->value = val(b->gpu, K_sm_pct); break;
           case NVML_GPM_METRIC_SM_OCCUPANCY: m->value = val(b->gpu, K_occupancy_pct); break;
           case NVML_GPM_METRIC_ANY_TENSOR_UTIL: m->value = val(b->gpu, K_tensor_pct); break;
           case NVML_GPM_METRIC_DRAM_BW_UTIL: m->value = val(b->gpu, K_dram_pct); break;
           case NVML_GPM_METRIC_FP64_UTIL: m->value = val(b->gpu, K_fp64_pct); break;
           case NVML_GPM_METRIC_FP32_UTIL: m->value = val(b->gpu, K_fp32_pct); break;
           case NVML_GPM_METRIC_FP16_UTIL: m->value = val(b->gpu, K_fp16_pct); break;
           case NVML_GPM_METRIC_PCIE_TX_PER_SEC: m->value = (b->total[T_PTX] - a->total[T_PTX]) / mib; break;
           case NVML_GPM_METRIC_PCIE_RX_PER_SEC: m->value = (b->total[T_PRX] - a->total[T_PRX]) / mib; break;
           case NVML_GPM_METRIC_NVLINK_TOTAL_RX_PER_SEC: m->value = (b->total[T_RX] - a->total[T_RX]) / mib; break;
           case NVML_GPM_METRIC_NVLINK_TOTAL_TX_PER_SEC: m->value = (b->total[T_TX] - a->total[T_TX]) / mib; break;
           default: m->nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
           } })

EXPORT nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *s)
    CALL(NULL, *s = calloc(1, sizeof **s); for (int i = 0; i < MAX_GPUS; i++)(*s)->seen[i] = gpus[i].xid_seq)
EXPORT nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t s) CALL(NULL, free(s))
EXPORT nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t d, unsigned long long *m)
    CALL(d, *m = nvmlEventTypeSingleBitEccError | nvmlEventTypeDoubleBitEccError | nvmlEventTypeXidCriticalError | nvmlEventTypeClock)
EXPORT nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t d, unsigned long long mask, nvmlEventSet_t s)
    CALL(d, if (mask & ~0x1Full) r = NVML_ERROR_NOT_SUPPORTED; else s->mask[d->n] |= mask)
EXPORT nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t s, nvmlEventData_t *e, unsigned int timeout_ms) {
  double until = mono() + timeout_ms / 1000.;
  for (;; nap(10)) {
    pthread_mutex_lock(&lock);
    nvmlReturn_t r = enter(__func__, NULL);
    for (int i = 0; r == NVML_SUCCESS && i < MAX_GPUS; i++) {
      if (!(s->mask[i] & nvmlEventTypeXidCriticalError) || gpus[i].xid_seq <= s->seen[i]) continue;
      *e = (nvmlEventData_t){&gpus[i], nvmlEventTypeXidCriticalError, gpus[i].xid_code, 0xFFFFFFFF, 0xFFFFFFFF};
      s->seen[i] = gpus[i].xid_seq;
      pthread_mutex_unlock(&lock);
      return r;
    }
    pthread_mutex_unlock(&lock);
    if (r != NVML_SUCCESS || mono() >= until) return r != NVML_SUCCESS ? r : NVML_ERROR_TIMEOUT;
  }
}
