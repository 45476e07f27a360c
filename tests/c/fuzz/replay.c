/* main for compilers without libFuzzer: runs the harness on each file that is named. */
#include "harness.h"
#include "report.h"

int main(int count, char **names)
{
    for (int i = 1; i < count; i++) {
        FILE *const file = fopen(names[i], "rb");
        if (file == NULL) {
            perror(names[i]);
            return 2;
        }
        fseek(file, 0, SEEK_END);
        const long size = ftell(file);
        rewind(file);
        uint8_t *const bytes = fuzz_room((size_t)size);
        const size_t read = fread(bytes, 1, (size_t)size, file);
        fclose(file);
        fprintf(stderr, "%s\n", names[i]);
        LLVMFuzzerTestOneInput(bytes, read);
        free(bytes);
    }
    fprintf(stderr, "%d inputs, nothing wrong\n", count - 1);
    return 0;
}
