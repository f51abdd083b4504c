# A card of your own for ersatz: PROFILE:docs/example.profile. docs/profiles.md explains every line; all of them may be left out.

name   = example
about  = a small card, for a test of a server
source = made up

# Its shape. Commands (INSTANCES, RING_DEPTH, WORKERS) win over these.
instances  = 2
ring_depth = 32

# Eight RSA operations at a time and two AES operations; the others wait their turn.
rsa_units = 8
aes_units = 2

# On the way there and back, whatever the operation.
latency = 40us
jitter  = exponential 10us

# How long a unit is busy. 3072 bits lie in between, by a power of the size.
rsa_private 2048 = 500us
rsa_private 4096 = 3.5ms
rsa_public  2048 = 20us

# A start, and so much for each byte: 0.5 ns a byte are 2 GB/s from each unit.
aes     = 1us + 0.5ns/byte
aes_gcm = 1us + 0.25ns/byte

# The card has no XTS: the calling core does it.
aes_xts = software
