# What the scripts share: packages, the build folder, the builds.
# Sourced by bash; the sourcing script sets -eu.

fo_name=bin/${0##*/}
fo_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
fo_hash=$(printf %s "$fo_root" | cksum | cut -d ' ' -f 1)
fo_cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}
fo_build=${FANOUT_BUILD:-$fo_cache/nginx-fanout/$fo_hash}
fo_jobs=$(nproc 2>/dev/null || echo 2)
fo_nginx_dev=/usr/share/nginx/src
fo_policy=/usr/sbin/policy-rc.d
fo_sudo=()

PATH=$PATH:/usr/sbin:/sbin
export PATH

fo_packages_build="gcc make libc6-dev nginx nginx-dev librdkafka-dev
    libcjson-dev libxxhash-dev"
fo_packages_test="perl libio-socket-ssl-perl openssl curl kcat redis-server
    python3-websockets libcmocka-dev clang libclang-rt-14-dev"
fo_packages_lint="clang-tidy cppcheck binutils perl"


fo_die()
{
    echo "$fo_name: $*" >&2
    exit 1
}


fo_say()
{
    echo "$fo_name: $*" >&2
}


fo_installed()
{
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}


# fo_apt PACKAGE...: installs what is missing; starts no service
fo_apt()
{
    local package log=$fo_build/apt.log missing=()

    for package; do
        fo_installed "$package" || missing+=("$package")
    done

    [ ${#missing[@]} -gt 0 ] || return 0

    command -v apt-get >/dev/null || fo_die "missing: ${missing[*]}"

    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null \
            || fo_die "missing, run as root: apt-get install ${missing[*]}"
        fo_sudo=(sudo -n)
    fi

    fo_say "installing ${missing[*]}"

    # a package's scripts ask policy-rc.d before they start a service

    if [ ! -e $fo_policy ]; then
        trap 'fo_apt_end; exit 130' INT TERM HUP
        trap fo_apt_end EXIT
        printf '#!/bin/sh\nexit 101\n' \
            | "${fo_sudo[@]}" tee $fo_policy >/dev/null
        "${fo_sudo[@]}" chmod 755 $fo_policy
    fi

    if ! fo_apt_install >"$log" 2>&1; then
        "${fo_sudo[@]}" apt-get update >>"$log" 2>&1 || true
        fo_apt_install >>"$log" 2>&1 \
            || fo_die "apt-get could not install ${missing[*]}, see $log"
    fi

    if [ -n "$(trap -p EXIT)" ]; then
        fo_apt_end
        trap - EXIT INT TERM HUP
    fi
}


fo_apt_end()
{
    "${fo_sudo[@]}" rm -f $fo_policy
}


fo_apt_install()
{
    "${fo_sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}"
}


# fo_locked COMMAND...: one build at a time in the build folder
fo_locked()
{
    (
        flock 9
        "$@" 9>&-
    ) 9>"$fo_build/lock"
}


# fo_quiet LOG COMMAND...: shows the log of a command that failed
fo_quiet()
{
    local log=$1
    shift

    "$@" >"$log" 2>&1 && return 0

    cat "$log" >&2
    return 1
}


fo_so()
{
    echo "$fo_build/$1/objs/ngx_http_fanout_module.so"
}


# fo_module normal|asan: builds the module, incrementally
fo_module()
{
    local flavor=$1 dir=$fo_build/$1 log=$fo_build/$1/log
    local cc_opt ld_opt stamp entry NGX_CONF_FLAGS

    [ -r $fo_nginx_dev/conf_flags ] || fo_die "missing: nginx-dev"

    cc_opt="-Wmissing-prototypes -fstack-protector-strong -fPIC"
    cc_opt="$cc_opt -Wformat -Werror=format-security"

    case $flavor in
    normal)
        cc_opt="$cc_opt -O2 -g -D_FORTIFY_SOURCE=2"
        ld_opt="-Wl,-z,relro -Wl,-z,now -fPIC"
        ;;
    asan)
        cc_opt="$cc_opt -O1 -g -fno-omit-frame-pointer"
        cc_opt="$cc_opt -fsanitize=address,undefined"
        cc_opt="$cc_opt -fno-sanitize-recover=undefined"
        ld_opt="-fPIC -fsanitize=address,undefined"
        ;;
    *)
        fo_die "no such build: $flavor"
        ;;
    esac

    mkdir -p "$dir/nginx"

    # configure writes a Makefile where it runs: so not in nginx-dev's folder

    for entry in auto configure src; do
        ln -sfn $fo_nginx_dev/$entry "$dir/nginx/$entry"
    done

    stamp=$(cd "$fo_root" && {
        echo "$cc_opt $ld_opt"
        dpkg-query -W nginx-dev librdkafka-dev libcjson-dev libxxhash-dev
        cat config
        find src -name '*.[ch]' | LC_ALL=C sort
    } | cksum)

    if [ "$(cat "$dir/stamp" 2>/dev/null)" != "$stamp" ]; then
        rm -rf "$dir/objs" "$dir/stamp"

        # shellcheck disable=SC1091
        . $fo_nginx_dev/conf_flags

        (
            cd "$dir/nginx"
            ASAN_OPTIONS=detect_leaks=0 \
            fo_quiet "$dir/configure.log" ./configure \
                "${NGX_CONF_FLAGS[@]}" \
                --builddir="$dir/objs" \
                --with-cc-opt="$cc_opt" --with-ld-opt="$ld_opt" \
                --add-dynamic-module="$fo_root"
        ) || fo_die "configure failed, see $dir/configure.log"

        echo "$stamp" >"$dir/stamp"
    fi

    fo_quiet "$log" make -C "$dir/nginx" -f "$dir/objs/Makefile" \
        -s -k -j "$fo_jobs" --no-print-directory modules \
        || fo_die "the $flavor build failed, see $log"
}


# fo_make TARGET...: unit tests, fuzz targets and utilities, see t/Makefile
fo_make()
{
    fo_quiet "$fo_build/make.log" \
        make -C "$fo_root" -f t/Makefile -s -k -j "$fo_jobs" \
        --no-print-directory B="$fo_build" "$@" \
        || fo_die "the build of $* failed, see $fo_build/make.log"
}


# fo_kafka: Kafka's jars, once
fo_kafka()
{
    local dir=$fo_build/kafka version=4.4.0

    [ "$(cat "$dir/version" 2>/dev/null)" = $version ] && return 0

    command -v java >/dev/null || fo_apt default-jre-headless
    command -v mvn >/dev/null || fo_apt maven

    rm -rf "$dir"
    mkdir -p "$dir"

    cat >"$dir/pom.xml" <<END
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>fanout</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>$version</version>
      <exclusions>
        <exclusion>
          <groupId>org.apache.kafka</groupId>
          <artifactId>kafka-tools-api</artifactId>
        </exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
END

    fo_say "fetching Kafka $version"

    mvn -B -q -f "$dir/pom.xml" dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$dir/jars" \
        >"$dir/mvn.log" 2>&1 \
        || fo_die "mvn could not fetch Kafka, see $dir/mvn.log"

    echo $version >"$dir/version"
}


mkdir -p "$fo_build" || fo_die "can't make $fo_build"
fo_build=$(cd "$fo_build" && pwd -P)
