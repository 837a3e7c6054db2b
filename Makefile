# One file, no configure. A mode is a directory: build/release, build/asan. `make help` lists the targets.

MODE ?= release
OUT  := build/$(MODE)
VERSION := 0.1.0
DATE := November 22, 2026# of the manual pages
Q := $(if $(V),,@)# make V=1 shows the commands

PKGS := glib-2.0 jansson libmariadb ldap libssh libcurl libxml-2.0 yaml-0.1 libedit libcrypto libssl zlib
TEST_PKGS := cmocka
MAILBOXD_PKGS := glib-2.0 jansson libmariadb ldap libcurl libxml-2.0 libcrypto zlib libmicrohttpd

WARN := -Wall -Wextra -Wshadow -Wvla -Wundef -Wformat=2 -Wwrite-strings -Wcast-qual \
    -Wstrict-prototypes -Wmissing-prototypes -Wswitch-enum -Wimplicit-fallthrough
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fno-common -fPIE
LINK_HARDEN := -Wl,-z,relro,-z,now,-z,noexecstack
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=3
CFLAGS_faults  := -O1 -g -DZX_FAILPOINTS
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -DZX_FAILPOINTS
CFLAGS_tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer -DZX_FAILPOINTS
CFLAGS_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer -DZX_FAILPOINTS \
    -Wno-cast-qual -Wno-unused-variable # of clang: g_auto variables are used by their end

# Recursive on purpose: a machine without the packages can still run `make deps` and `make help`.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell pkg-config --cflags $(sort $(PKGS) $(TEST_PKGS) $(MAILBOXD_PKGS))))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $(shell pkg-config --libs $(PKGS)))$(PKG_LIBS)
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DZX_VERSION='"$(VERSION)"' -DZX_DATE='"$(DATE)"' -I. $(WARN) $(HARDEN) \
    -DGLIB_VERSION_MAX_ALLOWED=GLIB_VERSION_2_56 -DGLIB_VERSION_MIN_REQUIRED=GLIB_VERSION_2_56 \
    $(CFLAGS_$(MODE)) $(PKG_CFLAGS) $(CFLAGS)
LINK = $(CC) $(ALL_CFLAGS) -pie $(LINK_HARDEN)

SRC := $(shell find shell commands completion conf core -name '*.c' -not -path 'core/agent/*')
LIB_OBJ := $(patsubst %.c,$(OUT)/%.o,$(filter-out shell/main.c,$(SRC)))
AGENT_OBJ := $(patsubst %.c,$(OUT)/%.o,$(wildcard core/agent/*.c core/base/*.c))
MAILBOXD_OBJ := $(patsubst %.c,$(OUT)/%.o,$(wildcard tests/mailboxd/*.c))
MANUAL := $(OUT)/zxmove.1 $(OUT)/zxmove.conf.5
UNIT := $(patsubst %.c,$(OUT)/%,$(wildcard tests/unit/test_*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))

all: $(OUT)/zxmove $(OUT)/zxmove-agent $(MANUAL)  ## build zxmove and its agent (MODE=release|faults|asan|tsan)

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

deps:  ## install the packages that building and the laboratory need (Debian, Ubuntu)
	@tests/packages.sh

$(OUT)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC    $@"
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# All modules in one archive: a unit test links what it needs and nothing else.
$(OUT)/libzxmove.a: $(LIB_OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^

# ThreadSanitizer does not see GLib's locks.
TSAN_OBJ := $(if $(filter tsan,$(MODE)),$(OUT)/tests/tsan.o)
$(OUT)/zxmove: $(OUT)/shell/main.o $(OUT)/libzxmove.a $(TSAN_OBJ)
	@echo "  LINK  $@"
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS)

$(OUT)/zxmove.1: $(OUT)/zxmove
	@$< __docs man >$@

$(OUT)/zxmove.conf.5: $(OUT)/zxmove
	@$< __docs conf-man >$@

# Static, so that it runs on whatever a store has; the sanitizers cannot be linked statically.
AGENT_LIBS = $(if $(filter asan tsan,$(MODE)),$(shell pkg-config --libs glib-2.0 libcrypto zlib),\
    -static-pie -s $(shell pkg-config --static --libs glib-2.0 libcrypto zlib))
# GLib and libcrypto hold calls (getpwuid, dlopen, ..) that do not work in a static program and that the agent
# never makes; the linker warns about them, and only those two lines a call are left out.
$(OUT)/zxmove-agent: $(AGENT_OBJ)
	@echo "  LINK  $@"
	$(Q)$(LINK) -o $@ $^ $(AGENT_LIBS) 2>$@.log || { cat $@.log >&2; exit 1; }
	@sed '/in function/{N;/statically linked/d};/statically linked/d' $@.log >&2; rm -f $@.log

$(OUT)/mailboxd: $(MAILBOXD_OBJ) $(TSAN_OBJ)
	@echo "  LINK  $@"
	$(Q)$(LINK) -o $@ $^ $$(pkg-config --libs $(MAILBOXD_PKGS))

$(OUT)/tests/unit/test_agent $(OUT)/tests/unit/test_blobs: | $(OUT)/zxmove-agent
$(OUT)/tests/unit/test_%: $(OUT)/tests/unit/test_%.o $(OUT)/libzxmove.a
	@echo "  LINK  $@"
	$(Q)$(LINK) -o $@ $^ $$(pkg-config --libs cmocka) $(PKG_LIBS)

LAB ?= try
lab: programs  ## start a laboratory to try zxmove in (LAB=name)
	@tests/lab/lab start $(LAB) --mode $(MODE)

lab-stop:  ## stop it and remove its directory (LAB=name)
	@tests/lab/lab stop $(LAB)

# A fuzzer is a harness and the library. `make fuzz` builds both with clang and its libFuzzer; a test like the
# others, without clang, replays what was kept of the inputs.
REPLAY := $(FUZZERS:%=$(OUT)/tests/fuzz/%)
FUZZ_MAIN := $(if $(filter fuzz,$(MODE)),,$(OUT)/tests/unit/replay.o)
FUZZ_LIBS := $(if $(filter fuzz,$(MODE)),-fsanitize=fuzzer)
$(OUT)/tests/fuzz/%: $(OUT)/tests/fuzz/%.o $(FUZZ_MAIN) $(OUT)/libzxmove.a
	@echo "  LINK  $@"
	$(Q)$(LINK) -o $@ $^ $(FUZZ_LIBS) $(PKG_LIBS)
# It brings the agent's main.c itself.
$(OUT)/tests/fuzz/agent: $(filter $(OUT)/core/agent/%,$(filter-out %/main.o,$(AGENT_OBJ)))

FUZZ_S ?= 30
FUZZ ?= $(FUZZERS)
fuzz:  ## run every fuzzer for FUZZ_S seconds (FUZZ=token for one; needs clang)
	@$(MAKE) --no-print-directory MODE=fuzz CC="$(FUZZ_CC)" fuzz-run
FUZZ_CC ?= clang

fuzz-run: $(FUZZ:%=$(OUT)/tests/fuzz/%)
	@for f in $(FUZZ); do mkdir -p $(OUT)/corpus/$$f; \
	    $(OUT)/tests/fuzz/$$f -max_total_time=$(FUZZ_S) -timeout=10 -print_final_stats=0 -artifact_prefix=$(OUT)/corpus/ $(OUT)/corpus/$$f \
	    tests/fuzz/corpus/$$f || exit 1; done

programs: $(OUT)/zxmove $(OUT)/zxmove-agent $(OUT)/mailboxd

# Tests run with the sanitizers and with failpoints; they start their own servers and leave nothing.
TESTS = $(UNIT) $(REPLAY) tests/arch.t $(wildcard tests/shell/*.t tests/lab/*.t tests/kill/*.t)
export ASAN_OPTIONS := detect_leaks=1:abort_on_error=0
export UBSAN_OPTIONS := halt_on_error=1:print_stacktrace=1
export LSAN_OPTIONS := suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0

test: deps  ## install what is missing, build with sanitizers, run every test, name the slowest
	@$(MAKE) --no-print-directory MODE=asan test-run

test-run: programs $(UNIT) $(REPLAY)
	@tests/run build/test.log $(TESTS)

# Those with most threads, each with a process of its own in the background: not in `make test`, for the build alone
# would take longer than the tests.
TSAN_TESTS := $(patsubst %,tests/lab/%.t,threads operations background limits midway backup)
tsan: deps  ## run the tests with most threads under ThreadSanitizer
	@$(MAKE) --no-print-directory MODE=tsan programs
	@rm -rf build/tsan.reports && mkdir -p build/tsan.reports
	@MODE=tsan G_SLICE=always-malloc TSAN_OPTIONS=exitcode=0:log_path=$(CURDIR)/build/tsan.reports/of \
	    tests/run build/tsan.log $(TSAN_TESTS)
	@! cat build/tsan.reports/* 2>/dev/null | grep SUMMARY

unit:  ## the tests that need no server
	@$(MAKE) --no-print-directory MODE=asan unit-run

unit-run: $(UNIT) $(REPLAY)
	@tests/run build/unit.log $(UNIT) $(REPLAY) tests/arch.t

demo: deps  ## play the article's commands on a laboratory of real servers (KEEP=1 leaves it running)
	@$(MAKE) --no-print-directory MODE=release programs
	@tests/lab/demo $(if $(KEEP),--keep)

domain: deps  ## move a domain of 300 mailboxes, with everything that can befall it
	@$(MAKE) --no-print-directory MODE=asan programs
	@MODE=asan DOMAIN=300 tests/lab/domain.t

bench: deps  ## measure zxmove against rsync, tar and mariadb-dump; minutes, BENCH_SCALE=0.05 for a look
	@tests/packages.sh rsync
	@$(MAKE) --no-print-directory MODE=release programs
	@tests/bench/bench

PREFIX ?= /usr/local
install: all  ## copy zxmove, its agent, its manual and the completion for bash (PREFIX=/usr/local)
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(OUT)/zxmove $(OUT)/zxmove-agent
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 $(OUT)/zxmove.1
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man5 $(OUT)/zxmove.conf.5
	install -D -m 644 completion/zxmove.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/zxmove

clean:  ## stop the laboratories of this checkout and remove build/
	@if [ -d build/lab ]; then tests/lab/lab stop --all; fi
	rm -rf build

-include $(LIB_OBJ:.o=.d) $(AGENT_OBJ:.o=.d) $(MAILBOXD_OBJ:.o=.d) $(OUT)/shell/main.d $(UNIT:=.d) $(REPLAY:=.d)
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all help deps programs test test-run tsan unit unit-run demo domain bench lab lab-stop fuzz fuzz-run install clean
