/*
 * Included before every C file of the build (runtime/cgo's and go-nvml's too): binds those functions that newer glibc has given new versions
 * to their first ones, which glibc keeps for ever. Without it, a program built on glibc 2.36 needs GLIBC_2.34 and does not start on
 * Ubuntu 20.04, RHEL 8 or Debian 11. What the functions do did not change with the version: 2.34 only moved them from
 * libpthread and libdl into libc, so the program must name those two libraries as needed (build.sh does).
 */
#ifndef __ASSEMBLER__ /* runtime/cgo has assembly as well */
#if defined(__x86_64__)
#define BASE "GLIBC_2.2.5"
#define DLINFO "GLIBC_2.3.3"
#elif defined(__aarch64__)
#define BASE "GLIBC_2.17"
#define DLINFO BASE
#else
#error "no first versions known for this architecture"
#endif

#define BIND(name, version) __asm__(".symver " #name "," #name "@" version);
BIND(dlopen, BASE)
BIND(dlsym, BASE)
BIND(dlclose, BASE)
BIND(dlerror, BASE)
BIND(dlinfo, DLINFO)
BIND(pthread_create, BASE)
BIND(pthread_sigmask, BASE)
BIND(pthread_key_create, BASE)
BIND(pthread_setspecific, BASE)
BIND(pthread_getattr_np, BASE)
BIND(pthread_attr_getstack, BASE)
BIND(pthread_attr_getstacksize, BASE)
BIND(__libc_start_main, BASE)
#undef BASE
#undef DLINFO
#undef BIND
#endif
