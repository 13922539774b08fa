/*
 * play.h holds what the files of the played NVIDIA driver share. build.sh compiles them into libnvidia-ml.so.1, which answers the real
 * go-nvml as a GPU node does. Types and prototypes come from NVIDIA's nvml.h in go-nvml, so a wrong struct does not compile.
 * Readings wobble with the clock (not at random): the same instant, GPU and profile give the same numbers.
 *
 * FORETOP_PLAY_NVML names a profile: a text file, looked at again when its mtime or size changes (checked at most each 20 ms).
 * Without it, or with an empty one, eight busy, healthy H100s are played. A bad line is told on stderr and skipped.
 * `#` starts a comment. GPU is an index or `*`. Later lines win, but `machine` comes first. Write the file to a temporary name and rename it.
 *
 *   machine NAME                 the kind of node: a row of the table `machines` (h100, h200, b200, gb200, a100, v100, l40s)
 *   gpus N                       how many GPUs (at most 64); seen at nvmlInit
 *   order N N N …                the GPUs in the order of their NVML index, those not named after them; seen at nvmlInit
 *   driver TEXT | nvml TEXT | cuda N     versions
 *   name TEXT                    product name of all GPUs
 *   cc MAJOR MINOR               CUDA compute capability
 *   gpm 0|1                      GPM support (Hopper and later)
 *   max_field ID                 newest field id that this driver knows
 *   fabric_version N             newest version of nvmlGpuFabricInfo that it takes (1 … 3)
 *   freeze SECONDS               stop the clock there: readings stand still, counters too
 *   wobble 0|1                   0: readings are exactly what the profile says
 *   init error CODE | init hang  what nvmlInit does (9 driver not loaded, 18 version mismatch, 4 no permission)
 *   broken CODE                  every call but nvmlInit returns CODE, as after a driver that was reloaded (1, 9, 18)
 *   crash                        the next call dies of SIGSEGV
 *   hang                         the next call, on whatever GPU, does not return while this line is there
 *   call NAME CODE               that function returns CODE (all versions of it are separate names)
 *   call NAME hang               that function does not return while this line is there
 *   field ID CODE                that field's entry returns CODE
 *   latency_us NAME N            that function takes N µs; `*`: each one; `field`: each entry of nvmlDeviceGetFieldValues besides
 *   latency realistic            the table `usual` in play.c: what is known or assumed of a real driver
 *   latency_spin 0|1             1: time passes by computing, as where a driver polls its firmware; 0: asleep (the default)
 *   events 0|1                   0: the GPUs know no events
 *   event SEQ GPU TYPE CODE [GI CI [COUNT]]  an event (TYPE: nvmlEventType bits, hexadecimal), told COUNT times to event sets that were made before
 *                                it was first read; in the order of SEQ, which must grow
 *   gpu GPU lost                 every call on it returns GPU_IS_LOST (15)
 *   gpu GPU gone                 as lost, and not enumerated any more from the next nvmlInit: higher indices move down
 *   gpu GPU hidden               not enumerated from the next nvmlInit, though nothing is wrong with it: another user's
 *   gpu GPU denied               counted, but there is no handle of it (4 no permission): another user's as well
 *   gpu GPU error CODE           every call on it returns CODE (999 unknown)
 *   gpu GPU hang                 calls on it do not return while this line is there
 *   gpu GPU latency_ms N         every call on it takes that long
 *   gpu GPU uuid TEXT | serial TEXT
 *   gpu GPU proc PID BYTES [GI CI]   a compute process; `gpu GPU noproc` forgets those said before
 *   gpu GPU procs_from PATH      lines `PID [BYTES]`, read at each question; a missing file is no process
 *   gpu GPU xid SEQ CODE         short for `event SEQ GPU 8 CODE`
 *   gpu GPU instance GI CI GSLICES CSLICES MIB USED_MIB SM_PCT   a MIG instance (with `gpu GPU mig 1`); `gpu GPU noinstance` forgets
 *   gpu GPU link L KEY VALUE     a number of one NVLink: keys in `link_keys`
 *   gpu GPU KEY VALUE            a number; keys and defaults are in the table `keys`
 */
#define _GNU_SOURCE
#define NVML_NO_UNVERSIONED_FUNC_DEFS 1
#include "nvml.h"
#include <fcntl.h>
#include <libgen.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define MAX_GPUS 64
#define MAX_PROCS 64
#define MAX_FAULTS 128
#define MAX_LINKS 36
#define MAX_MIG 8
#define MAX_EVENTS 64
#define NONE 0xFFFFFFFFu

/* One number of a GPU: how the profile names it, its default and by what share of it it wobbles. */
#define KEYS(X)                                                                                                        \
  X(power_mw, 450000, .08) X(power_limit_mw, 700000, 0) X(power_min_mw, 200000, 0) X(power_max_mw, 700000, 0)          \
  X(util, 96, .04) X(mem_util, 48, .2) X(encoder, 0, 0) X(decoder, 3, 0) X(temp_c, 56, .04) X(hbm_temp_c, 64, .04)      \
  X(slowdown_c, 87, 0) X(shutdown_c, 92, 0) X(mem_max_c, 95, 0) X(margin_c, 30, .04) X(slowdown_tlimit, -2, 0)         \
  X(shutdown_tlimit, -8, 0) X(max_tlimit, 0, 0) X(mem_tlimit, 0, 0) X(mem_total, 85520809984., 0)                      \
  X(mem_reserved, 570425344, 0) X(mem_used, 71000000000., .002) X(bar1_total, 137438953472., 0) X(bar1_used, 1572864, 0) \
  X(sm_mhz, 1755, .02) X(mem_mhz, 2619, 0) X(max_sm_mhz, 1980, 0) X(max_mem_mhz, 2619, 0) X(throttle, 4, 0)            \
  X(ecc, 1, 0) X(ecc_sbe, 0, 0) X(ecc_dbe, 0, 0) X(ecc_sbe_agg, 2, 0) X(ecc_dbe_agg, 0, 0) X(sram_unc, 0, 0)           \
  X(sram_threshold, 0, 0) X(retired_sbe, 0, 0) X(retired_dbe, 0, 0) X(retired_pending, 0, 0) X(remap_cor, 0, 0)        \
  X(remap_unc, 0, 0) X(remap_pending, 0, 0) X(remap_failure, 0, 0) X(pcie_gen, 5, 0) X(pcie_width, 16, 0)              \
  X(pcie_max_gen, 5, 0) X(pcie_max_width, 16, 0) X(pcie_replay, 0, 0) X(pcie_rollover, 0, 0) X(pcie_correctable, 0, 0) \
  X(pcie_nak_rx, 0, 0) X(pcie_nak_tx, 0, 0) X(pcie_bad_tlp, 0, 0) X(pcie_bad_dllp, 0, 0) X(pcie_nonfatal, 0, 0)        \
  X(pcie_fatal, 0, 0) X(pcie_lcrc, 0, 0) X(pcie_l0, 0, 0) X(pcie_tx_bps, 2.1e9, .3) X(pcie_rx_bps, 1.4e9, .3)          \
  X(nvlinks, 18, 0) X(nvlinks_down, 0, 0) X(nvlink_tx_bps, 9.5e10, .3) X(nvlink_rx_bps, 9.5e10, .3)                    \
  X(nvlink_crc, 0, 0) X(nvlink_replay, 0, 0) X(nvlink_recovery, 0, 0) X(nvlink_speed, 26562, 0) X(c2c_links, 0, 0)     \
  X(c2c_up, 0, 0) X(sm_pct, 88, .06) X(occupancy_pct, 31, .1) X(tensor_pct, 42, .12) X(dram_pct, 51, .1)               \
  X(fp16_pct, 6, .1) X(fp32_pct, 9, .1) X(fp64_pct, 0, 0) X(recovery_action, 0, 0) X(persistence, 1, 0)                \
  X(compute_mode, 0, 0) X(pstate, 0, 0) X(mig, 0, 0) X(throttle_power_share, .2, 0) X(throttle_thermal_share, 0, 0)    \
  X(fabric_state, 3, 0) X(fabric_status, 0, 0) X(fabric_health, 0, 0) X(fabric_clique, 0, 0)                       \
  X(fabric_cluster, 0, 0) X(chassis, 0, 0) X(slot, 0, 0) X(tray, 0, 0)

/* One number of an NVLink, zero unless the profile says otherwise. */
#define LINK_KEYS(X)                                                                                                   \
  X(state) X(replay) X(recovery) X(recovery_failed) X(crc) X(ecc) X(rx_errors) X(tx_discards) X(symbol) X(effective)

enum key {
#define X(n, d, w) K_##n,
  KEYS(X)
#undef X
      NKEYS
};
enum link_key {
#define X(n) L_##n,
  LINK_KEYS(X)
#undef X
      NLINKKEYS
};
enum total { T_ENERGY, T_TX, T_RX, T_PTX, T_PRX, T_POWERCAP, T_THERMAL, NTOTALS };

struct proc {
  unsigned pid, gi, ci;
  unsigned long long bytes;
};
struct nvmlDevice_st { /* what NVML calls a device: a GPU, or a MIG instance of it */
  struct gpu *gpu;
  struct instance *mig; /* NULL: the whole GPU */
};
struct instance {
  struct nvmlDevice_st device;
  unsigned gi, ci, gslices, cslices;
  double mib, used_mib, sm_pct;
};
struct gpu {
  struct nvmlDevice_st device;
  int n; /* as the profile counts; the NVML index leaves out the gone */
  double key[NKEYS], link[MAX_LINKS][NLINKKEYS];
  int lost, gone, hidden, denied, hang, error, latency_ms, nprocs, ninstances;
  struct proc procs[MAX_PROCS];
  struct instance instances[MAX_MIG];
  char uuid[NVML_DEVICE_UUID_BUFFER_SIZE], serial[NVML_DEVICE_SERIAL_BUFFER_SIZE], procs_from[512];
  double total[NTOTALS], at; /* counters, integrated over time up to at */
};
struct event {
  unsigned seq, gpu, code, gi, ci, count;
  unsigned long long type;
};
struct machine {
  const char *word, *product, *driver, *nvml, *board, *inforom, *vbios, *serial_prefix;
  int gpus, arch, cc[2], cuda, gpm, max_field, link_version, temp_limits, fabric, platform, retired_pages;
  struct {
    enum key key;
    double value;
  } set[24]; /* numbers that differ from the default; ends with value 0 at key 0 */
};

extern pthread_mutex_t play_lock; /* guards all below; never held while a call sleeps */
extern struct gpu gpus[MAX_GPUS];
extern nvmlDevice_t shown[MAX_GPUS]; /* by NVML index, fixed at nvmlInit */
extern int nshown, nevents;
extern struct event events[MAX_EVENTS];
extern struct play {
  const struct machine *machine;
  int gpus, cuda, cc[2], gpm, max_field, fabric_version, wobble, init_error, init_hang, broken, crash, hang, events, spin;
  int order[MAX_GPUS], norder;
  double freeze;
  char driver[80], nvml[80], name[96];
} P;

double play_mono(void);
double play_now(void);
double val(const struct gpu *g, enum key k);
int play_fault(int field);
void play_nap(int us);  /* sleeps; the lock must not be held */
void play_await(double until); /* the same, until the profile changed */
void play_pass(int us); /* lets time pass as the profile says, with the lock given back meanwhile */
int play_field_latency(int entries);
nvmlReturn_t play_enter(const char *name, nvmlDevice_t d, int mig);
nvmlReturn_t play_text(char *to, unsigned len, const char *s);
int play_index(const struct gpu *g);

/*
 * A function of the library: body runs with the lock held, after the faults, with g the GPU (NULL where there is no device), and sets r. CALL is
 * for functions of a whole GPU; MIGCALL for those that take a MIG instance as well, m in the body, NULL for the GPU.
 */
#define CALLS(dev, takes_mig, ...)                                                                                     \
  {                                                                                                                    \
    pthread_mutex_lock(&play_lock);                                                                                    \
    nvmlDevice_t device_ = dev;                                                                                        \
    nvmlReturn_t r = play_enter(__func__, device_, takes_mig);                                                         \
    if (r == NVML_SUCCESS) {                                                                                           \
      struct gpu *g = device_ ? device_->gpu : NULL;                                                                   \
      struct instance *m = device_ ? device_->mig : NULL;                                                              \
      (void)g, (void)m;                                                                                                \
      __VA_ARGS__;                                                                                                     \
    }                                                                                                                  \
    pthread_mutex_unlock(&play_lock);                                                                                  \
    return r;                                                                                                          \
  }
#define CALL(dev, ...) CALLS(dev, 0, __VA_ARGS__)
#define MIGCALL(dev, ...) CALLS(dev, 1, __VA_ARGS__)
