# SPDX-License-Identifier: Apache-2.0
# The cipher suites that the engine takes part in, for drives that go through all of them. After lib.sh, in $work.
# shellcheck shell=bash
etm_with=("") # key exchanges for which encrypt-then-MAC is tried too
before_1_2=() # which versions before TLS 1.2 are tried

# shellcheck disable=SC2154 # lib.sh sets work
configuration >"$work/door.cnf"
case ${DOOR:-engine} in
engine)
    door=(-engine "$ERSATZ_MODULE")
    OPENSSL_ENGINES=$(dirname "$ERSATZ_MODULE") openssl engine -c "$(basename "$ERSATZ_MODULE" .so)" >"$work/engine_has" ||
        fail "the engine does not load"
    ;;
provider)
    door=()
    OPENSSL_CONF=$work/door.cnf openssl list -cipher-algorithms | grep "@ ersatz" >"$work/engine_has" || fail "the provider does not load"
    ;;
esac

cbc() {
    local version
    for version in "${before_1_2[@]}" -tls1_2; do
        echo "$version ${1}AES128-SHA $2"
        echo "$version ${1}AES256-SHA $2"
    done
    echo "-tls1_2 ${1}AES128-SHA256 $2"
    [ "$1" = ECDHE-RSA- ] && echo "-tls1_2 ${1}AES256-SHA384 $2" || echo "-tls1_2 ${1}AES256-SHA256 $2"
}

# suites: each with the way TLS ties MAC and cipher: etm, encrypt-then-MAC (where that is another operation for the card, so
# one key exchange will do in the short version), or no_etm.
suites() {
    local kx aead etm
    for kx in "" DHE-RSA- ECDHE-RSA-; do
        for aead in AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-CCM AES256-CCM AES128-CCM8 AES256-CCM8; do
            # The suites of RFC 7251 are for ECDSA only.
            [[ $kx$aead == ECDHE-*CCM* ]] || echo "-tls1_2 $kx$aead no_etm"
        done
        for etm in etm no_etm; do
            [ $etm = no_etm ] || [[ " ${etm_with[*]} " == *" $kx "* ]] || continue
            cbc "$kx" $etm
        done
    done
    for aead in AES_128_GCM_SHA256 AES_256_GCM_SHA384 AES_128_CCM_SHA256 AES_128_CCM_8_SHA256; do
        echo "-tls1_3 TLS_$aead etm"
    done
}

# Which of the card's operations seals the records. Stitched AES-CBC-HMAC is not there on every processor.
operation_of() {
    case $1 in
    *GCM*) echo aes_gcm ;;
    *CCM*) echo aes_ccm ;;
    *-SHA\ no_etm) grep -q AES-128-CBC-HMAC-SHA1 "$work/engine_has" && echo aes_cbc_hmac_sha1 || echo aes_cbc ;;
    *-SHA256\ no_etm) grep -q AES-128-CBC-HMAC-SHA256 "$work/engine_has" && echo aes_cbc_hmac_sha256 || echo aes_cbc ;;
    *) echo aes_cbc ;;
    esac
}

# server_options VERSION SUITE ETM: for s_server, in $options.
server_options() {
    options=("${door[@]}" -async -quiet "$1")
    if [ "$1" = -tls1_3 ]; then
        options+=(-ciphersuites "$2" -cipher DEFAULT@SECLEVEL=0) # CCM_8 is below level 1 from OpenSSL 3.2 on
    else
        options+=(-cipher "$2@SECLEVEL=0")
    fi
    [ "$3" = etm ] || options+=(-no_etm)
}
