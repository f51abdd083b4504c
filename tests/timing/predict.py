# SPDX-License-Identifier: Apache-2.0
"""What scripts/predict does once all is built: predict.py STEPS LLVM_MCA MODELS KERNELS [WORK ...]"""
import collections
import os
import re
import subprocess
import sys

STEPS, MCA = sys.argv[1:3]
MODELS, KERNELS = sys.argv[3].split(), sys.argv[4].split()
WORKS = sys.argv[5:] or [
    f"{mode}:{length}" for mode in ("GCM-256-encrypt", "GCM-256-decrypt", "CTR-128-encrypt", "XTS-256-encrypt", "CBC-128-decrypt",
                                    "CFB-128-decrypt", "ECB-128-encrypt")
    for length in (64, 256, 1024, 16384)]
# AVX512 F, DQ, IFMA, CD, BW, VL; VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ: bits of EBX and ECX of leaf 7.
WITHOUT_AVX512 = ":~0x%x" % (0xD0230000 | 0x5842 << 32)
RSA_STEPS = 60000  # of RSA-2048: some windows of an exponentiation


def run_steps(kernel, *arguments):
    environment = dict(os.environ)
    if kernel == "narrow":
        environment["OPENSSL_ia32cap"] = WITHOUT_AVX512
    return subprocess.run([STEPS, *arguments], env=environment, capture_output=True, text=True, check=False)


def as_text(text):
    """As llvm-mca takes it: a jump to anywhere for every jump, call and return."""
    text = re.sub(r"\s*(#|<).*", "", text).strip()
    text = re.sub(r"^(bnd|notrack|repz|cs|data16) ", "", text)
    if re.match(r"(call|jmp|ret)", text):
        return "jmp target"
    if re.match(r"j[a-z]+ ", text):
        return text.split()[0] + " target"
    if re.match(r"(nop|endbr|data16|hlt|int3|leave|cpuid|syscall|xgetbv|rep|rdtsc|xchg +%ax)", text):
        return "nop"
    return text


disassembled = {}


def disassembly(path):
    if path not in disassembled:
        listing = subprocess.run(["objdump", "-d", "-w", "--no-show-raw-insn", path], capture_output=True, text=True, check=True)
        found = (re.match(r" *([0-9a-f]+):\t(.*)", line) for line in listing.stdout.splitlines())
        disassembled[path] = {int(row[1], 16): row[2] for row in found if row}
    return disassembled[path]


def recorded(work, kernel, count):
    """The addresses that were executed, and what is there."""
    printed = run_steps(kernel, "trace", work, "portable" if kernel == "libcrypto" else kernel, str(count)).stdout
    objects, addresses = [], []
    for line in printed.splitlines():
        if line.startswith("object "):
            _, base, low, high, path = line.split()
            objects.append((int(base, 16), int(low, 16), int(high, 16), STEPS if path == "/proc/self/exe" else path))
        elif re.fullmatch("[0-9a-f]+", line):
            addresses.append(int(line, 16))
    texts = {}
    for address in set(addresses):
        texts[address] = "nop"
        for base, low, high, path in objects:
            if low <= address < high and os.path.exists(path):
                texts[address] = as_text(disassembly(path).get(address - base, "nop"))
    return addresses, texts


def period(addresses):
    """One turn of the outermost loop that was seen: the longest even distance between visits of an address. The window of an
    exponentiation, if the steps were out of one."""
    visits = collections.defaultdict(list)
    for at, address in enumerate(addresses):
        visits[address].append(at)
    best = []
    for places in visits.values():
        gaps = [b - a for a, b in zip(places, places[1:])]
        if len(gaps) >= 2 and max(gaps) - min(gaps) <= max(gaps) // 50 and min(gaps) > len(best):
            best = addresses[places[0]:places[1]]
    return best


def cycles(lines, model):
    """Of all lines, once."""
    source = "\n".join(lines) + "\n"
    skip = [] if "-14" in MCA else ["-skip-unsupported-instructions=any"]
    out = subprocess.run([MCA, "-mcpu=" + model, "-mtriple=x86_64", "-iterations=1", "-all-stats=false", "-all-views=false",
                          "-summary-view", *skip], input=source, capture_output=True, text=True, check=False)
    found = re.search(r"Total Cycles: +(\d+)", out.stdout)
    if os.environ.get("SHOW_ERRORS"):
        sys.stderr.write(out.stderr[:3000])
    return int(found[1]) if found else None


def steps_of(work, kernel, is_rsa):
    if not is_rsa:
        addresses, texts = recorded(work, kernel, 0)
    else:
        found = []
        for _ in range(4):  # it may have been at something else
            addresses, texts = recorded(work, kernel, RSA_STEPS * (int(work.split("-")[1]) // 1024) ** 2 // 4)
            turn = period(addresses)
            if len(turn) > len(found):
                found, texts_of_it = turn, texts
        addresses, texts = found, texts_of_it if found else {}
    return [texts[address] for address in addresses]


def line_of(work, kernel):
    is_rsa = work.startswith("rsa")
    times = run_steps(kernel, "time", work, kernel).stdout.split()
    if len(times) != 2:
        return [work, kernel] + ["-"] * (1 + len(MODELS))
    ours = steps_of(work, kernel, is_rsa)
    masked = "narrow" if kernel == "narrow" else ""
    # libcrypto's steps, with the same features left out
    if masked:
        os.environ["OPENSSL_ia32cap"] = WITHOUT_AVX512
    theirs = steps_of(work, "libcrypto", is_rsa)
    os.environ.pop("OPENSSL_ia32cap", None)
    many = 16 if kernel == "lanes" else 1
    if is_rsa:  # a turn of ours is a window of eight numbers, which is four operations
        many = 4 if int(work.split("-")[1]) else 1
        paired = any("madd52" in text for text in theirs)
        many *= 1 if paired else 2  # libcrypto computes both halves side by side, or one after the other
    row = [work, kernel, "%.2f" % (float(times[1]) / float(times[0]))]
    for model in MODELS:
        a, b = cycles(ours, model), cycles(theirs, model)
        row.append("-" if not a or not b else "%.2f (%d)" % (many * b / a, a / many))
    return row


print("\t".join(["work", "kernel", "measured here"] + MODELS), flush=True)
for a_work in WORKS:
    for a_kernel in KERNELS:
        print("\t".join(line_of(a_work, a_kernel)), flush=True)
