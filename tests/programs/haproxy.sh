# SPDX-License-Identifier: Apache-2.0
# HAProxy with ssl-mode-async on the card, for the tests that need it: after lib.sh, in $work. It gets the engine from its OPENSSL_CONF
# (Debian builds it without directives of its own for engines), and the provider from its own directives. The commands come from
# ERSATZ_CTRL. INIT_ENGINE must be among them: HAProxy forbids itself threads once it runs, which for an ordinary user is too
# early (README.md).
# shellcheck shell=bash disable=SC2154

# haproxy_configuration PORT BODY [GLOBAL]: haproxy.cfg, which answers each request with this body ("string hello"), and the
# OPENSSL_CONF that goes with it. GLOBAL: further lines of that section.
haproxy_configuration() {
    local card=
    case ${DOOR:-engine} in
    engine) engine_configuration >openssl.cnf ;;
    provider)
        : >openssl.cnf
        card="ssl-provider-path '$(dirname "$ERSATZ_MODULE")'
    ssl-provider ersatz
    ssl-provider default
    ssl-propquery ?provider=ersatz"
        ;;
    esac
    cat >haproxy.cfg <<CFG
global
    $card
    ssl-mode-async
    maxconn 500
    ${3:-}
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 5s
frontend tls
    bind 127.0.0.1:$1 ssl crt $work/both.pem no-tls-tickets
    http-request return status 200 content-type text/plain $2
CFG
}
