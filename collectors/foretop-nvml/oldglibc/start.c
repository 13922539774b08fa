/*
 * The program's entry, in place of glibc's crt1.o: that of 2.34 and later calls __libc_start_main@GLIBC_2.34 and leaves the
 * constructors to it, while an older __libc_start_main calls only what it is handed. So the constructors are handed over.
 */
extern int main(int, char **, char **);
typedef void (*hook)(int, char **, char **);
extern hook __preinit_array_start[] __attribute__((visibility("hidden"))), __preinit_array_end[] __attribute__((visibility("hidden")));
extern hook __init_array_start[] __attribute__((visibility("hidden"))), __init_array_end[] __attribute__((visibility("hidden")));
extern int __libc_start_main(int (*)(int, char **, char **), int, char **, hook, void (*)(void), void (*)(void), void *);

static void constructors(int argc, char **argv, char **env) {
  for (hook *h = __preinit_array_start; h < __preinit_array_end; h++) (*h)(argc, argv, env);
  for (hook *h = __init_array_start; h < __init_array_end; h++) (*h)(argc, argv, env);
}

/* stack is the initial stack pointer (argc, argv…), rtld_fini what the dynamic linker wants called at exit. */
__attribute__((used, noreturn)) void foretop_start(void **stack, void (*rtld_fini)(void)) {
  __libc_start_main(main, (int)(long)stack[0], (char **)(stack + 1), constructors, 0, rtld_fini, stack);
  __builtin_trap();
}

#if defined(__x86_64__)
__asm__(".globl _start\n.type _start,@function\n_start:\n"
        "\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tmov %rdx, %rsi\n\tand $-16, %rsp\n\tcall foretop_start\n\thlt\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n.type _start,%function\n_start:\n"
        "\tmov x29, #0\n\tmov x30, #0\n\tmov x1, x0\n\tmov x0, sp\n\tbl foretop_start\n\tbrk #1\n");
#endif
