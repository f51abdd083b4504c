/* SPDX-License-Identifier: Apache-2.0 */
/* Keys for the targets: made once with openssl genrsa, and known to everybody. */
#ifndef ERSATZ_TESTS_FUZZ_KEYS_H
#define ERSATZ_TESTS_FUZZ_KEYS_H

static const char *const fuzz_keys[] = {
    /* 512 bits, the smallest that goes to the card */
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIIBOwIBAAJBALdhAZc5twiWblTbflm6iKYQNBI+85NTewkpVFYoxiav/yT09yur\n"
    "1hx+sBgOA/qXSQqrfxeSh3ik/wf6T2iF+yECAwEAAQJBALXRTbV1+P9fv6cNNbqb\n"
    "ky8rs6U/m1vAkqXjv4XpyYXCm7WXs/WfR5IDiQMBLWakHeFqQicRXWYwN9bOyPQz\n"
    "pwECIQD0RCQSaiAHjwfWMYfq6MToB6vcW9hf0L8yl6a+sdnI8QIhAMAwGv9wRr4X\n"
    "WsPD0mexEVh97fe5UmdzJWfOWIG0BtUxAiEA2IVyaDRUUf7yVmavcYaFzJvINtvf\n"
    "MAfNA96zuwPR5jECIBezVwD9RZwXoTfXJFFpQqxZC0mrbwAW8Rv2FHAaVWVhAiAX\n"
    "V5P9+nBzQW9Tt4VKQFRDOdbh/U3lwb5R/z6m1waWww==\n"
    "-----END RSA PRIVATE KEY-----\n",
    /* 768 bits, exponent 3 */
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIIBywIBAAJhANdekYTjEDiA9eO+H9HcGnFKJJTmFb0PC5n1MV+ZlpvW1LSkEy8I\n"
    "qhIaqvPuUr/R8xTFb0c27SgZBrfxZuySCy8rVwooqHmzSdLBdQpEEoWeWd9e4M4P\n"
    "u5HmwS811kyFNwIBAwJhAI+UYQNCCtBV+UJ+v+E9ZvYxbbiZY9NfXRFOIOpmZGfk\n"
    "jc3Ct3SwcWFnHKKe4dU2oNRMJ/NeXYye4NctG/usfaS9qf0nCy1UBjyE+PkGWXf3\n"
    "416s78B1cxU7UxXuN8TPCwIxAPgUMzHnLkihHVnN6p24Arqoq1NkhLEJGb82pM1N\n"
    "qxKDXIle3qSfq82Y6DQT4m5h+QIxAN4/AChCMoyJmBtf0lVXS/1mLLsJkwSsJrjD\n"
    "Wsds4T8nKEf8moi/4yR03Fo8oDbsrwIxAKVizMvvdDBraOaJRxPQAdHFx4ztrctb\n"
    "Zn95wzOJHLcCPbDp6cMVHTO7RXgNQZ7r+wIxAJQqABrWzF2xEBI/4Y46MqjuyHyx\n"
    "DK3IGdCCPITzQNTExYVTEbB/7ML4kubTFXnzHwIxAOdu7rwz1DSDAHzBbbuYZffG\n"
    "hNe02ByInaviI4vPO4E24Wu+8ujpXiuvb5P8iK8Wbg==\n"
    "-----END RSA PRIVATE KEY-----\n",
    /* 1,023 bits: not a whole number of bytes */
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIICWgIBAAKBgEnsLr8UtPpWW2kcGZsOa6O8rkhhsZFqKtJ+t6ZEkpf8RgC3FmCB\n"
    "CBx6RYiBKZA3wfrQVJfTb80xyMj98Xk8pn6Sc04rm/ZGthXSkHuQqguh6XoYPeA/\n"
    "BFalyR0GtX0UAKrWOyQASKh0RkftEbRymCbhLG/sbSTSx+QTu5mDgHD/AgMBAAEC\n"
    "gYBJWhJ8y0hWDDECmL6TzPhkbkqmSkKP38CERPdpBixMoii4dvS+Z+srjuzGahxb\n"
    "HejfP7BhQ45yF498Wfgt7E/ssLoMePmvUWWQH/P9ZOJbrovmAJ2VWig75bx27RZN\n"
    "xqbmVjnysHg3S9OCkTnyjfRcRwOw39bd8ksbgVsXjYQpeQJBAMOjbRLCtaJbG3rJ\n"
    "vknBga+PFnlaGEMThOS2EgHWoEhYbwU87VYKmEsf4HG/TFEiZsLKDZBgssYPBXmz\n"
    "pr9zYgUCQGC6/K8+xp6QrL8wn83lEYjq0fwWCii9m61t7aReREHLmpnYI6RMbr2u\n"
    "mcHC2CaI2I43BO01DV3zDJJAAG5mYjMCQQCFmpHeggIwwi9eB3BgRjoefoVGknSH\n"
    "OklDN+PMRZpoTZxj41vhqpKem0JX6+BeeDPdSsdAlgkAoTmIB1wU2uNRAkAqw1+k\n"
    "Zd9PCGymVWvAjY1z90P/6wpwumpRgLC3oskQQV/GtawEHZozlzX4WBhQ6Ny7+oze\n"
    "BT80kpezLEJEjFTLAkAzKBIEREeD6h3nUZk/Wfwi2xBdXM+9nSRgcxY8dbEfrYQP\n"
    "EKy2fgj4tMvS+FXMNwUuZqwnUxACMmC9idA1pl6s\n"
    "-----END RSA PRIVATE KEY-----\n",
    /* 1,024 bits of three primes */
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIICfQIBAQKBgQCtIQrk6VjmlPawjvMzMi6qLRXNSB2RVOkiOVzR6KooZ733+kSe\n"
    "l2fhe3WWx7khch73fK+8uSnDYRCaidK6PQeq4dqEvQcJD5OF79lEagqcFBrkbnBp\n"
    "YVAzT8PDzMLn+rm4/6cjrvEgAl/VaB3TXuUlUgcSeDjilD085nQYhyrrowIDAQAB\n"
    "AoGADKoQG/Kd2DApY3zxeVtAYp5tq9iMoSbu7tv3WDuGxvHfyZX7EwbMSIg5bq2b\n"
    "3GmxSvPFrcqPk1XlSZgnUEruYfQSU6l1YJ1s0c68i/eyIcswheDIHrmpgOYIkEr1\n"
    "kZtSscJKZocLGVzrzodnJV2yU60t6HIBC/fKOFoBVuoQr4ECKznHFw9cgOVCaMP6\n"
    "O0zDWrVRNwmhEAMwi9p+UJ9q0FiFZQ2IPpfnTXL9KL8CKx0wSrCa0KH8YYP4tepL\n"
    "KYpYkobOAS998f1RDwJDB+u/J37QwNOSBKd0ITUCKywbTgFODp/1eGDTb92D7IUq\n"
    "QKe7KqwkrT7Y2tc4BWDuRFx2O8JeswMrO6UCKwpU87s7saoFCgeK2+nJHTUpUQSC\n"
    "mwzSifve228zhvQ9v582CWtafmc/xhkCKzll/sG5Ki+Jc19bE6aypugSvcGE2bio\n"
    "N/+FzHl4y8Cd5+YdHhRSGU9eeTcwgYowgYcCKxpH19vBHhO3Rt3n79WMaK1AmDBL\n"
    "eZf1OBFxYQyQ4RXnKTWbEOPqe4qREkkCKw1TtWEZM3loDaXmQjcWttZ01ThYbdbj\n"
    "YYVm64IFzj7fNIScmBocBH4mRxECKw1ATOaPsbnxBYLq9wxTcpgexCNss/B7w9KC\n"
    "aJttpk0qkbiUZ1nn9r/JNUg=\n"
    "-----END RSA PRIVATE KEY-----\n",
    /* 2,048 bits */
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIIEpAIBAAKCAQEAqmk+R7ITGI7aEI6QY8UM3DbE7ztRc+ZPiy0ZIsbAutcCxxbN\n"
    "bimALffQRCUiNNBFZ9Wa1aYo6Hi4fIJDwpPvYaj3NvMW11B2mCiKahlq+4pWBkn7\n"
    "jmDkPAoiNIctks1BCYC+7Cg0DUZQ+XlEXX4nutf6XbzVw5afG9xvm94AjfVSFuRh\n"
    "8J/0Lwvznc0V0IAJKn69Uo9tMK6TT+eva7294T4cDoxiN+N47v7iHh4+t3iO2yJq\n"
    "oVBgXonwFFbJwGOx3v3APJ2Ng8JJZB42nupLYvXSQSO6oaL7kkxePyLlLHdzHKAm\n"
    "N8VCCXkdWnBBLydmYfPGtUrqkRguQF050b/gawIDAQABAoIBACVI35KKOLlf0ABd\n"
    "YOQjYfvwk8gP/3NPScoWtPAx8ksu7fGnYI0g0WW9Wbj/MuvBQd5FExp5v2uVti+v\n"
    "xKmW+oIwmN5R84ZqmXgTLq2mIA0nKEk5+KsfMfCc+vzpMqRy+i7dF2jOJw1cfC0J\n"
    "Rlb6WjD8PlAyF8cydl9/LIA6434rekHl27LFeMe+ME+wJXY6fScLaAZP+F3NS7uv\n"
    "/anZyrkSlil9YdwDKfUjSvAm+5OC4GTOORT5a0KOETEg/46pkUjJAH6X9qVOWwb+\n"
    "fpB/w0KTrYOMZ58KYW9tMSILnugLolM6NAuQZxAm4RIN7pzc/hUHrFFNq6cwK6ll\n"
    "nVhb5ckCgYEA01tPq4zN0DfGE8kdVBOpXwLV8QaZYwRElGkpAgnFPoKbwiC7EwYi\n"
    "l6WR23fCz+q3c/Ul91im5howx4HkrlXVQtUzrFlDUH2zq2DhCwgmmEjs4XHNFchn\n"
    "zDDqQowo+OYMDoIwrOFXaUGRu0qcLJ3gaNuqQdwTWvol1IDbwr5L93UCgYEAzmfh\n"
    "z4i9GW22h0MjLSeoBlcjsxxPeSLwnmLZSlpJHP/zuRGDxAmwoktrxl6foz6LOaXK\n"
    "yL6cTDAULWy31ItVQA9D54MB4KnF1z6TCQHKL0iv3k9LlvNeWQktG/sE51XsqbLL\n"
    "wNzNvn2ie5foNQLCtyViHV7eK28+bTdMEfj9XF8CgYEAloONTf68xs4hOg/b2fcS\n"
    "g73SO43Wh+QPLp1g/bmVhLmgUHPcpWSWF+Zp45/61PQy5toqymWQnYcDO+CtyNUJ\n"
    "RUntPYxn2pdZ7u7T9HY+fe5Y+wd+5EdOW+RtvyxvNSkmZuKh5UuoYyW1sWolo8Re\n"
    "fm4IZlRiWESR0i5d0eaQ1M0CgYEAoI5YLdp81iHswSztWPunDT+Nao8UFvOh3mKg\n"
    "CeFPTDqhOI2yRLUQ7D3k2QrT/OTy4eXgZuU2qWEg4PDX0oKLzufQ926F8F+/oJ5x\n"
    "O6ljwAI3o6Nk9kfbVUD5EPHjL5w8GwkUy7I2bP5HfQJ+Q3YhRtvShWw9P+Yp1kUU\n"
    "bEqVstsCgYAeAW17FBm/M5W751eAO1RRfRXADjhfkms3rX3A1zFM18cM7f1eYAdx\n"
    "CJVSkJ0LZS97K787YNyV4RGusm528ZJsb/nXd9B0cMt1kBgTDBXNVqdcwpXPk2No\n"
    "U/T1XjwkQgVicup7AXNzyLBw9z6CAWsxUb3qfYe/ApfvC47gPlvvhQ==\n"
    "-----END RSA PRIVATE KEY-----\n",
};

#define FUZZ_KEYS (sizeof(fuzz_keys) / sizeof(fuzz_keys[0]))

#endif
