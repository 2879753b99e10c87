/* Sandgrain firmware: says that it is ready, then runs the model for ever.
 *
 * The emulator boots to sg_ready, puts inputs into memory itself, and calls sg_infer for each sample. */
int main(void);
int sg_infer(void);
void sg_ready(void);

__attribute__((noinline, used)) void sg_ready(void)
{
    __asm volatile("" ::: "memory");
}

int main(void)
{
    sg_ready();
    for (;;) {
        (void)sg_infer();
    }
}
