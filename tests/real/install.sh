# Sourced: installs programs that are missing and that a real cluster needs.

# need COMMAND PACKAGE...: installs the Debian packages if the command is missing.
need() {
  local command=$1
  shift
  command -v "$command" >/dev/null && return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "\"$command\" is missing: install $* (this script does it only as root on Debian)" >&2
    return 1
  fi
  [ -n "${apt_updated:-}" ] || apt-get update -qq >&2
  apt_updated=yes
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# fetch_jars DIR: downloads Kafka and its dependencies from Maven Central, once.
fetch_jars() {
  [ -e "$1/complete" ] && return 0
  need java openjdk-17-jre-headless
  need mvn maven
  rm -rf "$1"
  mvn --batch-mode --quiet --no-transfer-progress -f "$here/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$1" >&2
  touch "$1/complete"
}
