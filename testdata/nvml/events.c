/* events.c: event sets. */
#include "play.h"

#define KNOWN                                                                                                          \
  (nvmlEventTypeSingleBitEccError | nvmlEventTypeDoubleBitEccError | nvmlEventTypeXidCriticalError | nvmlEventTypeClock | nvmlEventMigConfigChange)
#define NEWER (nvmlEventTypeDramRetirementEvent | nvmlEventTypeDramRetirementFailure | nvmlEventTypeGpuUnavailableError | nvmlEventTypeGpuRecoveryAction)

struct nvmlEventSet_st {
  unsigned long long seen, told; /* the last event's SEQ that was delivered wholly, and how often the one after it was */
  unsigned long long mask[MAX_GPUS];
};

static unsigned long long known(void) { return !P.events ? 0 : P.max_field >= 230 ? KNOWN | NEWER : KNOWN; }

EXPORT nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *s)
    CALL(NULL, *s = calloc(1, sizeof **s); if (!*s) r = NVML_ERROR_MEMORY; else if (nevents > 0) (*s)->seen = events[nevents - 1].seq)
EXPORT nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t s) CALL(NULL, free(s))
EXPORT nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t d, unsigned long long *mask)
    CALL(d, if (!P.events) r = NVML_ERROR_NOT_SUPPORTED; else *mask = known())
/* As the real one: a mask with a bit too many is refused as a whole. */
EXPORT nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t d, unsigned long long mask, nvmlEventSet_t s)
    CALL(d, if (!mask || mask & ~known()) r = NVML_ERROR_NOT_SUPPORTED; else s->mask[g->n] |= mask)

/* The next event of a set; false: none. */
static int next(nvmlEventSet_t s, nvmlEventData_t *e) {
  for (int i = 0; i < nevents; i++) {
    struct event *v = &events[i];
    if (v->seq <= s->seen) continue;
    if (!(s->mask[v->gpu] & v->type)) {
      s->seen = v->seq;
      continue;
    }
    *e = (nvmlEventData_t){&gpus[v->gpu].device, v->type, v->code, v->gi, v->ci};
    if (++s->told >= v->count) s->seen = v->seq, s->told = 0;
    return 1;
  }
  return 0;
}
static nvmlReturn_t wait_for(const char *name, nvmlEventSet_t s, nvmlEventData_t *e, unsigned int timeout_ms) {
  double until = play_mono() + timeout_ms / 1000.;
  for (;;) {
    pthread_mutex_lock(&play_lock);
    nvmlReturn_t r = play_enter(name, NULL, 0);
    if (r == NVML_SUCCESS && !next(s, e)) r = play_mono() >= until ? NVML_ERROR_TIMEOUT : NVML_ERROR_IRQ_ISSUE;
    pthread_mutex_unlock(&play_lock);
    if (r != NVML_ERROR_IRQ_ISSUE) return r;
    play_await(until); /* the real one sleeps in the kernel */
  }
}
EXPORT nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t s, nvmlEventData_t *e, unsigned int timeout_ms) { return wait_for(__func__, s, e, timeout_ms); }
EXPORT nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t s, nvmlEventData_t *e, unsigned int timeout_ms) { return wait_for(__func__, s, e, timeout_ms); }
