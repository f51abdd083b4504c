/* SPDX-License-Identifier: Apache-2.0 */
/* For upper_halves --planted: what it has to find is called dirty_something, what it has to leave alone is not.
 * Never executed. */
    .text

#define FUNCTION(name) .type name, @function; name

FUNCTION(dirty_at_return):
    vpxor %ymm0, %ymm1, %ymm2
    ret

FUNCTION(dirty_on_one_path):
    vmovdqu (%rdi), %ymm0
    test %esi, %esi
    je 1f
    vzeroupper
1:  ret

FUNCTION(dirty_at_call):
    vpaddq %zmm0, %zmm1, %zmm2
    call clean_without_vectors
    vzeroupper
    ret

FUNCTION(dirty_at_call_through_pointer):
    vmovdqu64 (%rdi), %zmm0
    call *(%rsi)
    ret

FUNCTION(dirty_at_tail_call):
    vmovdqu (%rdi), %ymm15
    jmp clean_without_vectors

FUNCTION(dirty_at_conditional_tail_call):
    vmovdqu (%rdi), %ymm15
    test %esi, %esi
    jne clean_without_vectors
    vzeroupper
    ret

FUNCTION(dirty_behind_loop):
1:  dec %edi
    je 2f
    vzeroupper
    vmovdqu (%rsi), %ymm3
    jmp 1b
2:  ret

FUNCTION(clean_but_for_cold_part):
    vmovdqu (%rdi), %ymm4
    test %esi, %esi
    jne dirty_part.cold
    vzeroupper
    ret

/* Its unlikely part, as a compiler names it: complaints are about this name. */
FUNCTION(dirty_part.cold):
    ret

FUNCTION(clean_without_vectors):
    pxor %xmm0, %xmm0
    ret

FUNCTION(clean_at_return):
    vmovdqu64 (%rdi), %zmm0
    vzeroupper
    ret

/* Behind a call, what was called has cleared them; registers 16 to 31 do no harm. */
FUNCTION(clean_around_call):
    vmovdqu (%rdi), %ymm0
    vzeroupper
    call clean_at_return
    vmovdqu64 (%rdi), %zmm17
    ret

FUNCTION(clean_in_loop):
1:  vmovdqu (%rsi), %ymm3
    dec %edi
    jne 1b
    vzeroupper
    jmp clean_without_vectors

    .section .note.GNU-stack, "", @progbits
