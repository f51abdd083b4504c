# A card that lets everybody wait: every answer comes long after its result is there, and out of order.
name = delayed
latency = 200us
jitter = exponential 50us
