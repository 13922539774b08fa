/* play.c: the profile, the clock and what stands before every call. */
#include "play.h"

pthread_mutex_t play_lock = PTHREAD_MUTEX_INITIALIZER;
struct gpu gpus[MAX_GPUS];
nvmlDevice_t shown[MAX_GPUS];
int nshown, nevents;
struct event events[MAX_EVENTS];
struct play P;

static int inits, nfaults, nlatencies, profile_read;
static struct {
  char name[64];
  int field, code, hang;
} faults[MAX_FAULTS];
static struct {
  char name[64];
  int us;
} latencies[MAX_FAULTS];
static struct statx_timestamp profile_mtime;
static unsigned long long profile_size;
static double profile_checked = -1;

static const struct {
  const char *name;
  double def, wobble;
} keys[NKEYS] = {
#define X(n, d, w) {#n, d, w},
    KEYS(X)
#undef X
};
static const char *const link_keys[NLINKKEYS] = {
#define X(n) #n,
    LINK_KEYS(X)
#undef X
};

#define MIB 1048576.
static const struct machine machines[] = {
    {"h100", "NVIDIA H100 80GB HBM3", "550.90.07", "12.550.90.07", "692-2G520-0200-003", "G520.0200.00.05", "96.00.74.00.0D", "16534230",
     8, NVML_DEVICE_ARCH_HOPPER, {9, 0}, 12040, 1, 199, 4, 1, 1, 0, 0, {{0, 0}}},
    {"h200", "NVIDIA H200", "590.48.01", "13.590.48.01", "692-2G520-0250-000", "G520.0250.00.01", "96.00.A5.00.03", "16547240",
     8, NVML_DEVICE_ARCH_HOPPER, {9, 0}, 13010, 1, 273, 4, 0, 1, 1, 0,
     {{K_mem_total, 143771 * MIB}, {K_mem_used, 131000 * MIB}, {K_bar1_total, 262144 * MIB}, {K_mem_mhz, 3201}, {K_max_mem_mhz, 3201}}},
    {"b200", "NVIDIA B200", "580.105.08", "13.580.105.08", "692-2G525-0220-001", "G525.0220.00.03", "97.00.88.00.0F", "16550240",
     8, NVML_DEVICE_ARCH_BLACKWELL, {10, 0}, 13000, 1, 273, 5, 0, 1, 1, 0,
     {{K_mem_total, 183359 * MIB}, {K_mem_used, 160000 * MIB}, {K_bar1_total, 262144 * MIB}, {K_mem_mhz, 3996}, {K_max_mem_mhz, 3996},
      {K_max_sm_mhz, 1965}, {K_power_mw, 810000}, {K_power_limit_mw, 1000000}, {K_power_max_mw, 1000000}, {K_nvlink_speed, 53125}, {K_fabric_health, 0x1aa}}},
    {"gb200", "NVIDIA GB200", "580.105.08", "13.580.105.08", "699-2G548-0201-800", "G548.0201.00.06", "97.00.B9.00.76", "16425250",
     4, NVML_DEVICE_ARCH_BLACKWELL, {10, 0}, 13000, 1, 273, 5, 0, 1, 1, 0,
     {{K_mem_total, 189471 * MIB}, {K_mem_used, 170000 * MIB}, {K_bar1_total, 262144 * MIB}, {K_mem_mhz, 3996}, {K_max_mem_mhz, 3996}, {K_max_sm_mhz, 2062},
      {K_power_mw, 960000}, {K_power_limit_mw, 1200000}, {K_power_max_mw, 1200000}, {K_nvlink_speed, 53125}, {K_c2c_links, 10}, {K_c2c_up, 10},
      {K_fabric_health, 0x51aa}, {K_fabric_clique, 32766}, {K_fabric_cluster, 1}, {K_chassis, 1}, {K_slot, 13}, {K_tray, 4}}},
    {"a100", "NVIDIA A100-SXM4-80GB", "525.147.05", "12.525.147.05", "692-2G506-0212-002", "G506.0212.00.02", "92.00.45.00.03", "15650200",
     8, NVML_DEVICE_ARCH_AMPERE, {8, 0}, 12000, 0, 169, 3, 1, 0, 0, 0,
     {{K_mem_total, 81920 * MIB}, {K_mem_used, 70000 * MIB}, {K_mem_mhz, 1593}, {K_max_mem_mhz, 1593}, {K_sm_mhz, 1320}, {K_max_sm_mhz, 1410}, {K_power_mw, 330000},
      {K_power_limit_mw, 400000}, {K_power_max_mw, 400000}, {K_nvlinks, 12}, {K_nvlink_speed, 25000}, {K_pcie_gen, 4}, {K_pcie_max_gen, 4}}},
    {"v100", "Tesla V100-SXM2-32GB", "450.248.02", "11.450.248.02", "900-2G503-0010-000", "G503.0203.00.04", "88.00.4F.00.09", "03244190",
     8, NVML_DEVICE_ARCH_VOLTA, {7, 0}, 11000, 0, 146, 2, 1, 0, 0, 1,
     {{K_mem_total, 32510 * MIB}, {K_mem_used, 30000 * MIB}, {K_bar1_total, 32768 * MIB}, {K_mem_mhz, 877}, {K_max_mem_mhz, 877}, {K_sm_mhz, 1380}, {K_max_sm_mhz, 1530},
      {K_power_mw, 250000}, {K_power_limit_mw, 300000}, {K_power_max_mw, 300000}, {K_nvlinks, 6}, {K_nvlink_speed, 25781}, {K_pcie_gen, 3}, {K_pcie_max_gen, 3}}},
    {"l40s", "NVIDIA L40S", "595.80", "13.595.80", "900-2G133-0080-000", "G133.0242.00.03", "95.02.66.00.02", "16527231",
     4, NVML_DEVICE_ARCH_ADA, {8, 9}, 13020, 0, 273, 0, 0, 0, 1, 0,
     {{K_mem_total, 46068 * MIB}, {K_mem_used, 40000 * MIB}, {K_bar1_total, 65536 * MIB}, {K_mem_mhz, 9001}, {K_max_mem_mhz, 9001}, {K_max_sm_mhz, 2520},
      {K_power_mw, 300000}, {K_power_limit_mw, 350000}, {K_power_max_mw, 350000}, {K_shutdown_tlimit, -5}, {K_pcie_gen, 4}, {K_pcie_max_gen, 4}}},
};

/*
 * What a call takes in µs with `latency realistic`. Reported for a real driver: utilisation 2.5, memory 11.6, fan 137, graphics processes 4,491; power
 * is the dearest of the usual set. The rest is assumed, on the dear side: a question that only the GPU's firmware can answer 60 to 150.
 */
static const struct {
  const char *name;
  int us;
} usual[] = {
    {"*", 20}, {"field", 12}, {"nvmlDeviceGetFieldValues", 150}, {"nvmlDeviceGetUtilizationRates", 3}, {"nvmlDeviceGetMemoryInfo_v2", 12}, {"nvmlDeviceGetMemoryInfo", 12},
    {"nvmlDeviceGetTemperatureV", 60}, {"nvmlDeviceGetTemperature", 60}, {"nvmlDeviceGetClockInfo", 60}, {"nvmlDeviceGetCurrentClocksEventReasons", 60},
    {"nvmlGpmSampleGet", 150}, {"nvmlGpmMigSampleGet", 150}, {"nvmlGpmMetricsGet", 15}, {"nvmlDeviceGetComputeRunningProcesses_v3", 4500},
    {"nvmlDeviceGetGpuFabricInfoV", 100}, {"nvmlDeviceGetSramEccErrorStatus", 150}, {"nvmlDeviceGetMarginTemperature", 60}, {"nvmlEventSetWait_v2", 0},
};

double play_mono(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double play_now(void) { return P.freeze >= 0 ? P.freeze : play_mono(); }

static void set_machine(const struct machine *m) {
  P.machine = m, P.gpus = m->gpus, P.cuda = m->cuda, P.cc[0] = m->cc[0], P.cc[1] = m->cc[1], P.gpm = m->gpm, P.max_field = m->max_field;
  P.fabric_version = m->max_field < 199 ? 1 : m->max_field < 273 ? 2 : 3;
  strcpy(P.driver, m->driver), strcpy(P.nvml, m->nvml), strcpy(P.name, m->product);
  for (int i = 0; i < MAX_GPUS; i++) {
    struct gpu *g = &gpus[i];
    for (int k = 0; k < NKEYS; k++) g->key[k] = keys[k].def;
    for (int k = 0; k < 24 && (m->set[k].key || m->set[k].value != 0); k++) g->key[m->set[k].key] = m->set[k].value;
    if (m->link_version == 0) g->key[K_nvlinks] = 0;
    if (!m->fabric) g->key[K_fabric_state] = 0;
    snprintf(g->uuid, sizeof g->uuid, "GPU-f0e70b00-%04x-4a5e-8d21-%012x", i, 0x5eed00 + i);
    snprintf(g->serial, sizeof g->serial, "%s%05d", m->serial_prefix, 11000 + i);
  }
}

static void defaults(void) {
  memset(&P, 0, sizeof P);
  P.wobble = 1, P.freeze = -1, P.events = 1;
  nfaults = nlatencies = nevents = 0;
  for (int i = 0; i < MAX_GPUS; i++) {
    struct gpu *g = &gpus[i];
    double total[NTOTALS], at = g->at;
    memcpy(total, g->total, sizeof total);
    memset(g, 0, sizeof *g);
    memcpy(g->total, total, sizeof total);
    g->n = i, g->at = at, g->device.gpu = g;
  }
  set_machine(&machines[0]);
}

static void add_fault(const char *name, int field, int code, int hang) {
  if (nfaults == MAX_FAULTS) return;
  snprintf(faults[nfaults].name, sizeof faults[0].name, "%s", name);
  faults[nfaults].field = field, faults[nfaults].hang = hang, faults[nfaults++].code = code;
}

static void add_latency(const char *name, int us) {
  if (nlatencies == MAX_FAULTS) return;
  snprintf(latencies[nlatencies].name, sizeof latencies[0].name, "%s", name);
  latencies[nlatencies++].us = us;
}

static int latency(const char *name) {
  int us = 0, exact = 0;
  for (int i = 0; i < nlatencies; i++) {
    int same = !strcmp(latencies[i].name, name);
    if (same || (!exact && strcmp(name, "field") && !strcmp(latencies[i].name, "*"))) us = latencies[i].us, exact |= same;
  }
  return us;
}

int play_field_latency(int entries) { return latency("field") * entries; }

static int event_line(const char *s) {
  struct event e = {.gi = NONE, .ci = NONE, .count = 1};
  if (nevents == MAX_EVENTS || sscanf(s, "%u %u %llx %u %u %u %u", &e.seq, &e.gpu, &e.type, &e.code, &e.gi, &e.ci, &e.count) < 4 || e.gpu >= MAX_GPUS) return 0;
  int at = nevents++;
  while (at > 0 && events[at - 1].seq > e.seq) events[at] = events[at - 1], at--;
  events[at] = e;
  return 1;
}

static int link_line(struct gpu *g, const char *s) {
  char word[64];
  int l;
  double v;
  if (sscanf(s, "%d %63s %lf", &l, word, &v) != 3 || l < 0 || l >= MAX_LINKS) return 0;
  for (int k = 0; k < NLINKKEYS; k++)
    if (!strcmp(word, link_keys[k])) return g->link[l][k] = v, 1;
  return 0;
}

static int gpu_line(struct gpu *g, const char *word, const char *rest) {
  struct proc p = {.gi = NONE, .ci = NONE};
  char event[128];
  unsigned seq, code;
  if (!strcmp(word, "lost")) return g->lost = 1;
  if (!strcmp(word, "gone")) return g->lost = g->gone = 1;
  if (!strcmp(word, "hidden")) return g->hidden = 1;
  if (!strcmp(word, "denied")) return g->denied = 1;
  if (!strcmp(word, "hang")) return g->hang = 1;
  if (!strcmp(word, "error")) return sscanf(rest, "%d", &g->error) == 1;
  if (!strcmp(word, "latency_ms")) return sscanf(rest, "%d", &g->latency_ms) == 1;
  if (!strcmp(word, "uuid")) return snprintf(g->uuid, sizeof g->uuid, "%s", rest) > 0;
  if (!strcmp(word, "serial")) return snprintf(g->serial, sizeof g->serial, "%s", rest) > 0;
  if (!strcmp(word, "procs_from")) return snprintf(g->procs_from, sizeof g->procs_from, "%s", rest) > 0;
  if (!strcmp(word, "noproc")) return g->nprocs = g->procs_from[0] = 0, 1;
  if (!strcmp(word, "noinstance")) return g->ninstances = 0, 1;
  if (!strcmp(word, "link")) return link_line(g, rest);
  if (!strcmp(word, "xid")) {
    if (sscanf(rest, "%u %u", &seq, &code) != 2) return 0;
    snprintf(event, sizeof event, "%u %d 8 %u", seq, g->n, code);
    return event_line(event);
  }
  if (!strcmp(word, "proc")) {
    if (g->nprocs == MAX_PROCS || sscanf(rest, "%u %llu %u %u", &p.pid, &p.bytes, &p.gi, &p.ci) < 2) return 0;
    g->procs[g->nprocs++] = p;
    return 1;
  }
  if (!strcmp(word, "instance")) {
    struct instance *m = &g->instances[g->ninstances];
    if (g->ninstances == MAX_MIG || sscanf(rest, "%u %u %u %u %lf %lf %lf", &m->gi, &m->ci, &m->gslices, &m->cslices, &m->mib, &m->used_mib, &m->sm_pct) != 7) return 0;
    m->device.gpu = g, m->device.mig = m;
    g->ninstances++;
    return 1;
  }
  for (int k = 0; k < NKEYS; k++)
    if (!strcmp(word, keys[k].name)) return sscanf(rest, "%lf", &g->key[k]) == 1;
  return 0;
}

static int order_line(const char *s) {
  int i, n;
  for (P.norder = 0; P.norder < MAX_GPUS && sscanf(s, "%d%n", &i, &n) == 1 && i >= 0 && i < MAX_GPUS; s += n) P.order[P.norder++] = i;
  return P.norder > 0;
}

static int machine_line(const char *name) {
  for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
    if (!strcmp(machines[i].word, name)) return set_machine(&machines[i]), 1;
  return 0;
}

static int latency_line(const char *s) {
  char name[64];
  int us;
  if (sscanf(s, "%63s %d", name, &us) != 2) return 0;
  return add_latency(name, us), 1;
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
  if (!strcmp(word, "machine")) return machine_line(rest);
  if (!strcmp(word, "order")) return order_line(rest);
  if (!strcmp(word, "event")) return event_line(rest);
  if (!strcmp(word, "events")) return sscanf(rest, "%d", &P.events) == 1;
  if (!strcmp(word, "gpus")) return sscanf(rest, "%d", &P.gpus) == 1 && P.gpus >= 0 && P.gpus <= MAX_GPUS;
  if (!strcmp(word, "driver")) return snprintf(P.driver, sizeof P.driver, "%s", rest) > 0;
  if (!strcmp(word, "nvml")) return snprintf(P.nvml, sizeof P.nvml, "%s", rest) > 0;
  if (!strcmp(word, "name")) return snprintf(P.name, sizeof P.name, "%s", rest) > 0;
  if (!strcmp(word, "cuda")) return sscanf(rest, "%d", &P.cuda) == 1;
  if (!strcmp(word, "cc")) return sscanf(rest, "%d %d", &P.cc[0], &P.cc[1]) == 2;
  if (!strcmp(word, "gpm")) return sscanf(rest, "%d", &P.gpm) == 1;
  if (!strcmp(word, "max_field")) return sscanf(rest, "%d", &P.max_field) == 1;
  if (!strcmp(word, "fabric_version")) return sscanf(rest, "%d", &P.fabric_version) == 1;
  if (!strcmp(word, "wobble")) return sscanf(rest, "%d", &P.wobble) == 1;
  if (!strcmp(word, "freeze")) return sscanf(rest, "%lf", &P.freeze) == 1;
  if (!strcmp(word, "broken")) return sscanf(rest, "%d", &P.broken) == 1;
  if (!strcmp(word, "latency_us")) return latency_line(rest);
  if (!strcmp(word, "latency_spin")) return sscanf(rest, "%d", &P.spin) == 1;
  if (!strcmp(word, "latency") && !strncmp(rest, "realistic", 9)) {
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) add_latency(usual[i].name, usual[i].us);
    return 1;
  }
  if (!strcmp(word, "crash")) return P.crash = 1;
  if (!strcmp(word, "hang")) return P.hang = 1;
  if (!strcmp(word, "init")) return !strncmp(rest, "hang", 4) ? (P.init_hang = 1) : sscanf(rest, "error %d", &P.init_error);
  if (!strcmp(word, "call") && sscanf(rest, "%63s %63s", name, sub) == 2) return add_fault(name, -1, atoi(sub), !strcmp(sub, "hang")), 1;
  if (!strcmp(word, "field") && sscanf(rest, "%d %d", &m, &a) == 2) return add_fault("", m, a, 0), 1;
  return 0;
}

/* Reads the profile again when it changed. Called with the lock held. */
static void reload(void) {
  const char *path = getenv("FORETOP_PLAY_NVML");
  struct statx st; /* not stat: its symbol is new in glibc 2.33 */
  char line[1024];
  if (profile_checked >= 0 && play_mono() - profile_checked < .02) return;
  profile_checked = play_mono();
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
double val(const struct gpu *g, enum key k) {
  double v = g->key[k], t = play_now(), phase = g->n * 2.399 + k * .7;
  if (P.wobble && keys[k].wobble > 0)
    v *= 1 + keys[k].wobble * (.7 * sin(t / 3.1 + phase) + .3 * sin(t * 1.7 + 2 * phase));
  if ((k == K_util || (k >= K_sm_pct && k <= K_fp64_pct)) && v > 100) v = 100;
  return v;
}

/* Brings a GPU's counters up to this instant. A fresh one starts as if it had run since the machine's start. */
static void integrate(struct gpu *g) {
  double t = play_now(), dt = t - g->at;
  const double rate[NTOTALS] = {val(g, K_power_mw), val(g, K_nvlink_tx_bps), val(g, K_nvlink_rx_bps), val(g, K_pcie_tx_bps),
                                val(g, K_pcie_rx_bps), 1e9 * g->key[K_throttle_power_share], 1e9 * g->key[K_throttle_thermal_share]};
  if (dt <= 0) return;
  for (int i = 0; i < NTOTALS; i++) g->total[i] += rate[i] * dt;
  g->at = t;
}

void play_nap(int us) {
  static __thread int sharp;
  if (!sharp) prctl(PR_SET_TIMERSLACK, 1), sharp = 1;
  struct timespec t = {us / 1000000, (us % 1000000) * 1000L}, left;
  while (nanosleep(&t, &left) == -1) t = left;
}

/* Sleeps until the profile changed, at most until then. It costs nothing meanwhile, as the real wait in the kernel. */
void play_await(double until) {
  static __thread int fd = -1;
  const char *path = getenv("FORETOP_PLAY_NVML");
  char text[4096];
  double left = until - play_mono();
  if (left <= 0) return;
  if (fd < 0) {
    left = left < .2 ? left : .2; /* what changed before the watch began */
    if (path && (fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) >= 0) {
      snprintf(text, sizeof text, "%s", path);
      if (inotify_add_watch(fd, dirname(text), IN_CLOSE_WRITE | IN_MOVED_TO) < 0) close(fd), fd = -1;
    }
  }
  struct pollfd p = {fd, POLLIN, 0};
  if (poll(&p, 1, (int)(left * 1000) + 1) <= 0) return;
  while (read(fd, text, sizeof text) > 0) {
  }
  play_nap(25000); /* reload looks no sooner again */
}

void play_pass(int us) {
  if (us <= 0) return;
  int spin = P.spin || us < 50; /* for so short a time nothing sleeps */
  pthread_mutex_unlock(&play_lock);
  if (spin)
    for (double until = play_mono() + us / 1e6; play_mono() < until;) {
    }
  else
    play_nap(us);
  pthread_mutex_lock(&play_lock);
}

int play_fault(int field) {
  for (int i = 0; i < nfaults; i++)
    if (faults[i].field == field) return faults[i].code;
  return 0;
}

static int stuck(const char *name, nvmlDevice_t d) {
  for (int i = 0; i < nfaults; i++)
    if (faults[i].hang && !strcmp(faults[i].name, name)) return 1;
  return P.hang || (d && d->gpu->hang);
}

static int is_device(nvmlDevice_t d) {
  for (int i = 0; i < MAX_GPUS; i++) {
    if (d == &gpus[i].device) return 1;
    for (int j = 0; j < gpus[i].ninstances; j++)
      if (d == &gpus[i].instances[j].device) return 1;
  }
  return 0;
}

/* What stands before every call: faults of the profile, hangs, latency. With the lock held, gives it back so. */
nvmlReturn_t play_enter(const char *name, nvmlDevice_t d, int mig) {
  reload();
  if (P.crash) *(volatile int *)NULL = 0;
  if (!inits) return NVML_ERROR_UNINITIALIZED;
  if (d && !is_device(d)) return NVML_ERROR_INVALID_ARGUMENT;
  while (stuck(name, d)) {
    pthread_mutex_unlock(&play_lock);
    play_nap(20000);
    pthread_mutex_lock(&play_lock);
    reload();
  }
  play_pass(latency(name) + (d ? 1000 * d->gpu->latency_ms : 0));
  if (P.broken) return (nvmlReturn_t)P.broken;
  if (d && d->gpu->lost) return NVML_ERROR_GPU_IS_LOST;
  if (d && d->gpu->error) return (nvmlReturn_t)d->gpu->error;
  if (d && d->mig && !mig) return NVML_ERROR_INVALID_ARGUMENT;
  for (int i = 0; i < nfaults; i++)
    if (!faults[i].hang && !strcmp(faults[i].name, name)) return (nvmlReturn_t)faults[i].code;
  if (d) integrate(d->gpu);
  return NVML_SUCCESS;
}

nvmlReturn_t play_text(char *to, unsigned len, const char *s) {
  return snprintf(to, len, "%s", s) < (int)len ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_SIZE;
}

int play_index(const struct gpu *g) {
  for (int i = 0; i < nshown; i++)
    if (shown[i] == &g->device) return i;
  return -1;
}

static void show(struct gpu *g) {
  if (g->n < P.gpus && !g->gone && !g->hidden && play_index(g) < 0) shown[nshown++] = &g->device;
}

EXPORT nvmlReturn_t nvmlInit_v2(void) {
  nvmlReturn_t r = NVML_SUCCESS;
  pthread_mutex_lock(&play_lock);
  reload();
  if (P.crash) *(volatile int *)NULL = 0;
  while (P.init_hang) {
    pthread_mutex_unlock(&play_lock);
    play_nap(20000);
    pthread_mutex_lock(&play_lock);
    reload();
  }
  if (P.init_error) r = (nvmlReturn_t)P.init_error;
  else if (inits++ == 0) {
    nshown = 0;
    for (int i = 0; i < P.norder; i++) show(&gpus[P.order[i]]);
    for (int i = 0; i < P.gpus; i++) show(&gpus[i]);
  }
  pthread_mutex_unlock(&play_lock);
  return r;
}
EXPORT nvmlReturn_t nvmlInit(void) { return nvmlInit_v2(); }
EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned int flags) { return (void)flags, nvmlInit_v2(); }
EXPORT nvmlReturn_t nvmlShutdown(void) CALL(NULL, inits--)
