# A modelled card: PROFILE:docs/example.profile. docs/profiles.md explains every line; every line is optional.

name   = example
about  = a small card, for a test of a server
source = made up

# Its shape. The commands INSTANCES, RING_DEPTH and WORKERS override these.
instances  = 2
ring_depth = 32

# Eight RSA operations and two AES operations at a time; the others wait.
rsa_units = 8
aes_units = 2

# The way to the card and back, for every operation.
latency = 40us
jitter  = exponential 10us

# How long a unit is busy. For 3072 bits the time lies between these two.
rsa_private 2048 = 500us
rsa_private 4096 = 3.5ms
rsa_public  2048 = 20us

# A fixed time, plus a time per byte: 0.5 ns per byte is 2 GB/s for each unit.
aes     = 1us + 0.5ns/byte
aes_gcm = 1us + 0.25ns/byte

# The card has no XTS: the calling core computes it.
aes_xts = software
