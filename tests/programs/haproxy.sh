# SPDX-License-Identifier: Apache-2.0
# HAProxy with ssl-mode-async on the card, for the tests that need it: after lib.sh, in $work. It gets the engine from its OPENSSL_CONF
# (Debian builds it without directives of its own for engines), and the provider from its own directives. The commands come from
# ERSATZ_CTRL. INIT_ENGINE must be among them: HAProxy forbids itself threads once it runs, which for an ordinary user is too
# early (docs/clients.md).
# shellcheck shell=bash disable=SC2154

# haproxy_configuration PORT BODY [GLOBAL]: haproxy.cfg as docs/clients.md has it, which answers each request with this body ("string
# hello"), and the OPENSSL_CONF that goes with it. GLOBAL: further lines of that section.
haproxy_configuration() {
    recipe_file haproxy.cfg "$1"
    sed -i "s|both.pem|$work/both.pem|; s|string hello|$2|" haproxy.cfg
    case ${DOOR:-engine} in
    engine) engine_configuration >openssl.cnf ;;
    provider)
        : >openssl.cnf
        recipe_file haproxy-provider.cfg 0
        # First, as the recipe says: the provider must be there before the sections that use it.
        sed "s|\.\./build/engine|'$(dirname "$ERSATZ_MODULE")'|" haproxy-provider.cfg >first.cfg
        cat haproxy.cfg >>first.cfg
        mv first.cfg haproxy.cfg
        ;;
    esac
    # Within the recipe's section: some settings must come before the sections that they concern.
    printf '    %s\n' "${3:-}" >global
    sed -i '/^ *maxconn 500$/r global' haproxy.cfg
}
