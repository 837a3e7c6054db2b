#!/bin/sh
# Who may include whom (doc/architecture.md): the layers, and one adapter for each library.
cd "$(dirname "$0")/.." || exit 1
n=0
rule() { # include pattern, the only paths that may have it, why
    n=$((n + 1))
    bad=$(grep -rnE "^#include $1" --include='*.[ch]' shell commands completion conf core | grep -vE "^($2)")
    if [ -z "$bad" ]; then
        echo "ok $n - $3"
    else
        echo "not ok $n - $3"
        echo "$bad" | sed 's/^/# /'
    fi
}
rule '<mysql\.h>' 'core/net/db\.c' 'only net/db.c knows MariaDB'
rule '<libssh/' 'core/net/ssh' 'only net/ssh*.c knows libssh'
rule '<ldap\.h>' 'core/net/ldap\.c' 'only net/ldap.c knows libldap'
rule '<openssl/ssl\.h>' 'core/net/tls\.c' 'only net/tls.c knows libssl'
rule '<curl/' 'core/net/' 'only adapters know libcurl'
rule '<libxml/' '(core/net/soap|core/zimbra/admin)' 'only SOAP knows libxml2'
rule '<yaml\.h>' 'conf/(load|edit)\.c' 'only conf/load.c and conf/edit.c know libyaml'
rule '<histedit\.h>' 'shell/line\.c' 'only shell/line.c knows libedit'
rule '"shell/' 'shell/' 'nothing includes the shell'
rule '"commands/' '(shell|completion|commands)/' 'core and conf know no command'
rule '"core/(net|move|look|check|zimbra|ops)/' 'core/' 'outside core one sees core.h, fields.h and base'
rule '"core/move/inspect\.h' '(core/move/|core/look/blobs\.c)' 'who looks at blobs sees move/inspect.h'
rule '"core/move/([^i]|i[^n]|in[^s])' '(core/(move|check)/|core/core\.c)' 'only the mover, its checks and its facade see core/move'
rule '"core/look/look\.h"' '(core/look/|core/core\.c)' 'only looking around and its facade see core/look'
rule '"core/check/' '(core/check/|core/core\.c)' 'nothing that works depends on its checks'
rule '"core/(move|zimbra|ops)/' 'core/(move|look|check|zimbra|ops|net/peer|core\.c)' 'adapters know nothing above them'
echo "1..$n"
