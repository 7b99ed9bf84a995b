# SPDX-License-Identifier: MIT
# The one Makefile of Gyr. `make help` lists the targets.

VERSION := 0.1.0
SOVERSION := 0
MODE ?= release
PREFIX ?= /usr/local
DESTDIR ?=
V ?= 0

ifeq ($(filter $(MODE),release debug asan tsan cov),)
$(error MODE=$(MODE) is not one of release, debug, asan, tsan, cov)
endif

MAKEFLAGS += --no-builtin-rules --no-print-directory
# All processors, unless this is a sub-make (which has a job server) or -j was given.
ifeq ($(MAKELEVEL)$(filter -j% --jobserver%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

B := build/$(MODE)
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-6s %s\n' $(1) $(2))

# ---- tools and flags ---------------------------------------------------------------------------

ifeq ($(origin CC),default)
CC := gcc
endif
IS_CLANG := $(findstring clang,$(shell $(CC) --version 2>/dev/null))
ifeq ($(origin CXX),default)
CXX := $(if $(IS_CLANG),$(subst clang,clang++,$(CC)),$(subst gcc,g++,$(CC)))
endif
AR := ar
OBJCOPY := objcopy

WARN_CXX := -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-qual \
    -Wcast-align -Wwrite-strings -Wpointer-arith -Wredundant-decls -Wformat=2 \
    -Wimplicit-fallthrough
WARN_C := $(WARN_CXX) -Wvla -Wstrict-prototypes -Wold-style-definition -Wdouble-promotion \
    -Wswitch-enum
WARN_SHIPPED := -Wmissing-prototypes -Wnull-dereference \
    $(if $(filter release debug,$(MODE)),-Wframe-larger-than=8192)
WARN_GCC := -Warith-conversion -Wlogical-op -Wduplicated-cond -Wduplicated-branches
# clang does not know gcc's attribute `access`, with which buffer arguments are marked.
WARN_CLANG := -Wno-unknown-attributes
ERROR := $(if $(CI),-Werror)

# Everything is position independent, so that the archive and the shared library are made from one
# set of objects: with hidden visibility and LTO we measured no difference to -fPIE.
CPPFLAGS_ALL := -I. -Iinclude $(CPPFLAGS)
CODE := -fPIC -fvisibility=hidden -fno-common -fstack-protector-strong -g -pthread

MODE_release := -O2 $(if $(IS_CLANG),,-flto=auto)
MODE_debug := -O1 -fno-omit-frame-pointer -DGYR_DEBUG
MODE_asan := -O1 -fno-omit-frame-pointer -DGYR_DEBUG -fsanitize=address,undefined \
    -fno-sanitize-recover=all
MODE_tsan := -O1 -fno-omit-frame-pointer -DGYR_DEBUG -fsanitize=thread
MODE_cov := -O0 -DGYR_DEBUG --coverage
MODE_FLAGS := $(MODE_$(MODE))

WARN := $(if $(IS_CLANG),$(WARN_CLANG),$(WARN_GCC))
CFLAGS_ALL := -D_GNU_SOURCE= $(CODE) $(MODE_FLAGS) $(WARN_C) $(WARN) $(ERROR) $(CFLAGS)
CXXFLAGS_ALL := -std=c++17 -fno-exceptions -fno-rtti $(CODE) $(MODE_FLAGS) $(WARN_CXX) \
    $(if $(IS_CLANG),$(WARN_CLANG)) $(ERROR) $(CXXFLAGS)
# mimalloc is not among them: engine/memory.c loads it at run time, because the distribution's
# library exports malloc and would replace the host program's.
LIBS := -luring -lsimdjson -linih -lstdc++ -lpthread -ldl
LDFLAGS_ALL := -pthread -Wl,-z,relro,-z,now $(filter -f%,$(filter-out -flto%,$(MODE_FLAGS))) \
    $(filter --coverage,$(MODE_FLAGS)) $(LDFLAGS)

# ---- sources -----------------------------------------------------------------------------------

LAYERS := base proto engine hub router
SRC_TESTLIB := $(wildcard engine/ring_sim*.c)
SRC_C := $(filter-out $(SRC_TESTLIB),$(foreach dir,$(LAYERS),$(wildcard $(dir)/*.c)))
SRC_CXX := $(wildcard base/*.cpp)
SRC_SIM := $(wildcard tests/sim/main.c)
SRC_TESTS := $(filter-out $(SRC_SIM),$(foreach dir,. unit sim socket scenarios,$(wildcard tests/$(dir)/*.c)))
SRC_TESTS := $(patsubst tests/./%,tests/%,$(SRC_TESTS))
SRC_TESTS_CXX := $(wildcard tests/*.cpp)
SRC_EXAMPLES := $(wildcard examples/*.c)
# examples/NAME_*.c are parts of examples/NAME.c, and examples/common_*.c of all of them.
EXAMPLE_NAMES := $(foreach name,$(SRC_EXAMPLES:examples/%.c=%),$(if $(findstring _,$(name)),,$(name)))
# Parts of the load generators.
SRC_BENCH_CLIENT := bench/client.c bench/histogram.c $(wildcard bench/fangen_*.c)
SRC_BENCH := $(filter-out $(SRC_BENCH_CLIENT),$(wildcard bench/*.c))
SRC_FUZZ := $(wildcard tests/fuzz/fuzz_*.c)

O := $(B)/obj
OBJ := $(SRC_C:%.c=$(O)/%.o) $(SRC_CXX:%.cpp=$(O)/%.o)
OBJ_TESTLIB := $(SRC_TESTLIB:%.c=$(O)/%.o)
OBJ_TESTS := $(SRC_TESTS:%.c=$(O)/%.o) $(SRC_TESTS_CXX:%.cpp=$(O)/%.o) $(O)/tests/fuzz/json_dom.o
EXAMPLES := $(EXAMPLE_NAMES:%=$(B)/bin/gyr-%)
BENCHES := $(SRC_BENCH:bench/%.c=$(B)/bin/bench-%)
SIM := $(SRC_SIM:tests/sim/main.c=$(B)/bin/sim)
FUZZERS := $(SRC_FUZZ:tests/fuzz/%.c=build/fuzz/%)
LIB_SO := $(B)/libgyr.so.$(VERSION)

# ---- what people type --------------------------------------------------------------------------

.PHONY: all run test check tidy sim scenarios model fuzz autobahn http-probes http-differential bench \
    tag-differential install uninstall deb test-packages clean docs help format lib programs tests \
    fuzzers venv check-format check-headers check-style check-cxx check-compile check-symbols \
    check-unit check-sim check-docs

all: lib programs ## build the libraries and programs (default)
	@:

EXAMPLE ?= chat

run: ## install what is missing, build, and serve a chat at http://127.0.0.1:8080/ (ARGS="--listen ...")
	$(if $(filter $(EXAMPLE),$(EXAMPLE_NAMES)),,$(error EXAMPLE=$(EXAMPLE) is not one of: $(strip $(EXAMPLE_NAMES))))
	@tools/setup build
	@+$(MAKE) all
	@exec $(B)/bin/gyr-$(EXAMPLE) $(ARGS)

test: ## every test, short fuzzing included; ends with `N passed, M failed, K skipped`
	@tools/setup build test
	@+$(MAKE) all tests venv $(if $(filter release,$(MODE)),fuzzers)
	@MODE=$(MODE) SEEDS=$(or $(SEEDS),300) tools/test

check: ## formatting, clang-tidy, style, symbols, docs, unit tests, some simulator seeds
	@+$(MAKE) -k check-format check-style check-headers check-cxx check-compile check-docs tidy \
	    check-symbols check-unit check-sim
	@echo 'check: all is well'

tidy: ## clang-tidy over what ships, cached by content
	$(call say,TIDY,)
	$(Q)tools/tidy

sim: $(SIM) ## the simulator: SEED=n replays one seed with its trace, SEEDS=n runs that many
	$(if $(SIM),,$(error tests/sim/main.c is missing))
	$(Q)$(SIM) $(or $(SEED),--seeds $(or $(SEEDS),300))

scenarios: ## the table of tests/scenarios/SCENARIOS.md, with results on each ring (SCENARIOS="1 40")
	@tools/setup build test
	@+$(MAKE) tests
	@tools/scenarios $(B)/bin/run_tests $(SCENARIOS)

fuzz: ## fuzz every target for FUZZ_SECONDS (60)
	@tools/setup build test
	@+$(MAKE) fuzzers
	@tools/fuzz -max_total_time=$(or $(FUZZ_SECONDS),60)

autobahn: ## the Autobahn test suite against gyr-echo, sections 1 to 7, 9 and 10
	@tools/setup build test
	@+$(MAKE) MODE=release all venv
	@tests/autobahn/run

http-probes: ## hostile HTTP against gyr-echo on each ring (PROBES="--ring uring SMUG-" for some)
	@tools/setup build test
	@+$(MAKE) all
	@GYR_BIN=$(CURDIR)/$(B)/bin MODE=$(MODE) PYTHONDONTWRITEBYTECODE=1 \
	    /usr/bin/python3 tests/probes/run.py $(PROBES)

http-differential: ## the same against nginx and h2o, too: writes docs/http-differences.md
	@tools/setup build peers
	@+$(MAKE) all
	@GYR_BIN=$(CURDIR)/$(B)/bin MODE=$(MODE) PYTHONDONTWRITEBYTECODE=1 \
	    /usr/bin/python3 tests/probes/differential.py

tag-differential: $(B)/bin/tag-differential ## tags against simdjson: COUNT=n documents of SEED=n
	@$< $(or $(COUNT),10000000) $(or $(SEED),1)

model: ## check the model of the broadcast ring with spin, all states, and that it finds planted bugs
	@tools/setup model
	@tools/model/run

bench: ## the benchmarks of bench/ (BENCH="E1 H1" for some of them)
	@tools/setup build test
	@+$(MAKE) MODE=release all $(BENCHES:$(B)/%=build/release/%)
	@if [ -x bench/run ]; then exec bench/run $(BENCH); else echo 'bench/run is missing' >&2; exit 1; fi

format: ## let clang-format rewrite the sources
	@clang-format -i $(FORMATTED)

docs: $(B)/bin/config-table ## write the tables of docs/configuration.md, and docs/api
	@tools/config_doc --write $<
	@tools/api_doc --write

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile
	@echo '  with MODE=release|debug|asan|tsan|cov (output in build/MODE/), V=1 to see the commands,'
	@echo '  EXAMPLE=echo to run another program than the chat,'
	@echo '  CC=clang for another compiler, SETUP=none to keep tools/setup from installing anything'

clean: ## remove build/
	rm -rf build

# ---- libraries ---------------------------------------------------------------------------------

lib: $(B)/libgyr.a $(B)/libgyr.so
	@:
programs: $(EXAMPLES)
	@:

# The whole library as one object. With LTO this is where code is generated, once: the archive, the
# shared library and the tests all get the same machine code.
$(B)/gyr.o: $(OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) -r -nostdlib -Wl,--force-group-allocation \
	    $(if $(filter -flto%,$(MODE_FLAGS)),$(CODE) $(MODE_FLAGS) -flinker-output=nolto-rel) -o $@ $^

# Only gyr_* stays global, so that a program may have its own conn_close.
$(B)/libgyr.a: $(B)/gyr.o
	$(call say,AR,$@)
	$(Q)$(OBJCOPY) --wildcard --keep-global-symbol='gyr_*' $< $(B)/libgyr.o
	$(Q)rm -f $@ && $(AR) rcs $@ $(B)/libgyr.o

$(LIB_SO): $(B)/gyr.o
	$(call say,LINK,$@)
	$(Q)printf '{ global: gyr_*; local: *; };\n' > $(B)/gyr.map
	$(Q)$(CC) -shared -Wl,-soname,libgyr.so.$(SOVERSION) -Wl,--version-script=$(B)/gyr.map \
	    $(if $(filter asan tsan,$(MODE)),,-Wl,-z,defs) -o $@ $< $(LDFLAGS_ALL) $(LIBS)

$(B)/libgyr.so: $(LIB_SO)
	$(Q)ln -sf libgyr.so.$(VERSION) $(B)/libgyr.so.$(SOVERSION)
	$(Q)ln -sf libgyr.so.$(SOVERSION) $@

$(B)/libgyr_test.a: $(OBJ_TESTLIB)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# ---- programs ----------------------------------------------------------------------------------

# A page beside an example becomes two symbols: examples/echo.html is `const char echo_html[]`, ended
# by a zero, and `const size_t echo_html_size`, which does not count it; examples/gyr.js likewise.
define EMBED_RULE
$(O)/examples/%_$(1).o: examples/%.$(1) $(B)/flags
	$$(call say,EMBED,$$<)
	$$(Q)mkdir -p $$(@D)
	$$(Q)printf '%s\n' '.section .rodata' '.global $$*_$(1), $$*_$(1)_size' \
	    '$$*_$(1): .incbin "$$<"' '1: .byte 0' '.balign 8' '$$*_$(1)_size: .quad 1b - $$*_$(1)' \
	    '.section .note.GNU-stack,"",%progbits' | $$(CC) -c -x assembler -o $$@ -
endef
$(foreach kind,html js,$(eval $(call EMBED_RULE,$(kind))))

define EXAMPLE_RULE
$(B)/bin/gyr-$(1): $(O)/examples/$(1).o $(B)/libgyr.a \
    $(patsubst %.c,$(O)/%.o,$(wildcard examples/$(1)_*.c examples/common_*.c)) \
    $(patsubst examples/%.html,$(O)/examples/%_html.o,$(wildcard examples/$(1).html)) \
    $(if $(shell grep -l gyr_js examples/$(1).c),$(O)/examples/gyr_js.o)
endef
$(foreach name,$(EXAMPLE_NAMES),$(eval $(call EXAMPLE_RULE,$(name))))

# An example is compiled as a service would be: without LTO, against the archive.
$(EXAMPLES):
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -o $@ $(filter %.o,$^) $(B)/libgyr.a $(LDFLAGS_ALL) $(LIBS)

# The load generators use nothing of the library.
$(B)/bin/bench-wsgen: $(O)/bench/wsgen.o $(O)/bench/client.o
$(B)/bin/bench-fangen: $(O)/bench/fangen.o $(SRC_BENCH_CLIENT:%.c=$(O)/%.o)
$(B)/bin/bench-wsgen $(B)/bin/bench-fangen:
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL)

# These see the public interface alone, as a service does.
$(B)/bin/bench-fan_server: $(O)/bench/fan_server.o
$(B)/bin/bench-typed_server: $(O)/bench/typed_server.o
$(B)/bin/bench-rooms: $(O)/bench/rooms.o $(O)/bench/client.o
$(B)/bin/bench-fan_server $(B)/bin/bench-typed_server $(B)/bin/bench-rooms: $(B)/libgyr.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -o $@ $(filter %.o,$^) $(B)/libgyr.a $(LDFLAGS_ALL) $(LIBS)

# Compares with simdjson.
$(B)/bin/bench-tag: $(O)/tests/json_reference.o

$(B)/bin/bench-%: $(O)/bench/%.o $(B)/gyr.o $(B)/libgyr_test.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIBS)

$(B)/bin/config-table: $(O)/tools/config_table.o $(B)/gyr.o
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIBS)

# ---- tests -------------------------------------------------------------------------------------

tests: $(B)/bin/run_tests $(B)/bin/tag-differential $(SIM) $(B)/bin/cxx-app
	@:

# As a service in C++ would be: of a newer standard than the library, against the archive. What is
# shadowed are names that C has twice, as struct gyr_publish and gyr_publish.
$(O)/tests/cxx/app.o: ROLE_CXX := -std=c++20 -Wno-missing-field-initializers -Wno-shadow -fno-lto
$(B)/bin/cxx-app: $(O)/tests/cxx/app.o $(B)/libgyr.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) -o $@ $(filter %.o,$^) $(B)/libgyr.a $(LDFLAGS_ALL) $(LIBS)

# Tests see every internal function, so they link the one object and not the archive.
$(B)/bin/run_tests: $(OBJ_TESTS) $(B)/gyr.o $(B)/libgyr_test.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL) -lcunit $(LIBS)

# What tests/sim holds besides main.c are helpers and tests; the simulator links them all but the
# tests, which need CUnit.
$(B)/bin/sim: $(O)/tests/sim/main.o $(filter-out $(O)/tests/sim/test_%,$(filter $(O)/tests/sim/%,$(OBJ_TESTS))) \
    $(O)/tests/json_check.o $(O)/tests/fiber_kit.o $(B)/gyr.o $(B)/libgyr_test.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIBS)

# A test by itself, since it runs as long as one likes.
$(B)/bin/tag-differential: $(O)/tests/differential/tag.o $(O)/tests/tag_kit.o \
    $(O)/tests/json_reference.o $(B)/gyr.o
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIBS)

venv: build/venv/ready
	@:
build/venv/ready: tests/requirements.txt
	$(call say,VENV,build/venv)
	$(Q)rm -rf build/venv && /usr/bin/python3 -m venv build/venv
	$(Q)build/venv/bin/python -m pip install -q --disable-pip-version-check -r $<
	$(Q)touch $@

# ---- fuzzing: always clang, always with the address and undefined behaviour sanitizers -----------

FUZZ_CC := clang
FUZZ_CODE := -O1 -g -fno-omit-frame-pointer -DGYR_DEBUG -DGYR_FUZZ -pthread $(WARN_CLANG) \
    -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_OBJ := $(patsubst %,build/fuzz/obj/%.o,$(basename $(SRC_C) $(SRC_CXX) $(SRC_TESTLIB)))

fuzzers: $(FUZZERS)
	@:

build/fuzz/libgyr.a: $(FUZZ_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

build/fuzz/fuzz_%: build/fuzz/obj/tests/fuzz/fuzz_%.o build/fuzz/libgyr.a
	$(call say,LINK,$@)
	$(Q)$(FUZZ_CC) $(FUZZ_CODE) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS)

build/fuzz/fuzz_dispatch: build/fuzz/obj/tests/json_reference.o
build/fuzz/fuzz_log: build/fuzz/obj/tests/json_check.o
build/fuzz/fuzz_tag: build/fuzz/obj/tests/tag_kit.o build/fuzz/obj/tests/json_reference.o
build/fuzz/fuzz_json: build/fuzz/obj/tests/fuzz/json_dom.o
build/fuzz/fuzz_route: build/fuzz/obj/tests/route_naive.o

build/fuzz/obj/%.o: %.c Makefile
	$(call say,CC,'$< (fuzz)')
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC) -std=gnu17 -D_GNU_SOURCE= $(CPPFLAGS_ALL) $(FUZZ_CODE) -fsanitize=fuzzer-no-link -MMD -MP \
	    -c -o $@ $<

build/fuzz/obj/%.o: %.cpp Makefile
	$(call say,CXX,'$< (fuzz)')
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC)++ -std=c++17 -fno-exceptions -fno-rtti $(CPPFLAGS_ALL) $(FUZZ_CODE) \
	    -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

# ---- make check --------------------------------------------------------------------------------

FORMATTED := $(foreach dir,$(LAYERS) include/gyr examples bench tests tests/unit tests/sim \
    tests/socket tests/scenarios tests/differential tests/fuzz tests/cxx tests/must_not_compile, \
    $(wildcard $(dir)/*.c $(dir)/*.h $(dir)/*.cpp))
# Lists for the preprocessor that read best one entry a line.
FORMATTED := $(filter-out tests/suites.h tests/options.h,$(FORMATTED))
HEADERS := $(foreach dir,$(LAYERS) include/gyr,$(wildcard $(dir)/*.h))

check-format:
	$(call say,FORMAT,)
	$(Q)clang-format --dry-run -Werror --ferror-limit=1 $(FORMATTED) || { echo 'make format mends it' >&2; exit 1; }

check-style:
	$(call say,STYLE,)
	$(Q)tools/check_style
	$(Q)tools/suites --check
	$(Q)tools/scenarios --check

check-docs: $(B)/bin/config-table
	$(call say,DOCS,)
	$(Q)tools/config_doc --check $<
	$(Q)tools/api_doc --check

# What the macros of the public headers must refuse.
check-compile:
	$(call say,COMPILE,)
	$(Q)CC='$(CC)' CXX='$(CXX)' tools/must_not_compile > $(B)/must_not_compile.log || \
	    { grep -v '^ok' $(B)/must_not_compile.log; exit 1; }

# Every header stands alone.
check-headers: $(HEADERS:%=$(O)/%.checked)
	@:
$(O)/%.h.checked: %.h $(B)/flags
	$(Q)mkdir -p $(@D)
	$(Q)printf '#include "$<"\n' | $(CC) -std=gnu17 -D_GNU_SOURCE= $(CPPFLAGS_ALL) -MMD -MP -MF $(@:.checked=.d) \
	    -MT $@ -fsyntax-only -x c -
	$(Q)touch $@

# The macros of gyr_message.h warn in no language and compiler that is here, and work in C++.
check-cxx: lib
	$(call say,CXX,tests/cxx/message.cpp)
	$(Q)set -e; for compiler in gcc clang; do if command -v $$compiler > /dev/null; then \
	    for language in 'c -std=gnu17' 'c -std=c17' 'c++ -std=c++17' 'c++ -std=c++20'; do \
	        $$compiler -x $$language -Wall -Wextra -Werror -Iinclude -fsyntax-only tests/cxx/message.cpp; \
	    done; fi; done
	$(Q)$(CXX) -std=c++20 -Wall -Wextra -Werror -Iinclude $(filter -fsanitize% --coverage,$(MODE_FLAGS)) \
	    -o $(B)/bin/cxx-message tests/cxx/message.cpp $(B)/libgyr.a $(LDFLAGS_ALL) $(LIBS)
	$(Q)$(if $(filter tsan,$(MODE)),setarch -R) $(B)/bin/cxx-message

check-symbols: lib
	$(call say,SYMS,)
	$(Q)CC=$(CC) tools/symbols.sh $(B) $(filter $(O)/proto/%,$(OBJ))
	$(Q)tools/debsymbols --check $(LIB_SO) $(VERSION)

check-unit: $(B)/bin/run_tests
	$(Q)$(if $(filter tsan,$(MODE)),setarch -R) $<

check-sim: $(SIM)
	$(Q)$(if $(SIM),$(SIM) --seeds $(or $(SEEDS),20),:)

# ---- rules for objects -------------------------------------------------------------------------

# Rewritten, and with it every object made again, when the compiler or a flag changes.
FLAGS_TEXT := $(CC) $(CXX) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(CXXFLAGS_ALL) $(LDFLAGS_ALL)
ifneq ($(file <$(B)/flags),$(FLAGS_TEXT))
ifneq ($(filter-out clean help format uninstall deb test-packages,$(or $(MAKECMDGOALS),all)),)
$(shell mkdir -p $(B))
$(file >$(B)/flags,$(FLAGS_TEXT))
endif
endif
$(B)/flags: ;

STD := -std=gnu17
ROLE := $(WARN_SHIPPED)
$(O)/proto/%.o: STD := -std=c17 -pedantic
$(O)/tests/%.o: ROLE := -fno-lto
$(O)/tests/%.o: ROLE_CXX := -fno-lto -Wno-shadow
$(O)/bench/%.o: ROLE := -fno-lto
$(O)/examples/%.o: ROLE := -fno-lto
$(O)/tools/%.o: ROLE := -fno-lto

$(O)/%.o: %.c $(B)/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(STD) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(ROLE) -MMD -MP -c -o $@ $<

$(O)/%.o: %.cpp $(B)/flags
	$(call say,CXX,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(CPPFLAGS_ALL) $(CXXFLAGS_ALL) $(ROLE_CXX) -MMD -MP -c -o $@ $<

-include $(shell find $(O) build/fuzz/obj -name '*.d' 2>/dev/null)

# ---- installation ------------------------------------------------------------------------------

BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/gyr
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSCONFDIR ?= /etc

UNITS := gyr-echo.service gyr-echo.socket
# Each file as it is installed, for uninstall.
INSTALLED = $(patsubst include/%,$(INCLUDEDIR)/%,$(wildcard include/gyr/*.h)) \
    $(addprefix $(LIBDIR)/,libgyr.a libgyr.so libgyr.so.$(SOVERSION) libgyr.so.$(VERSION)) \
    $(PKGCONFIGDIR)/gyr.pc $(EXAMPLES:$(B)/bin/%=$(BINDIR)/%) $(UNITS:%=$(UNITDIR)/%) \
    $(EXAMPLES:$(B)/bin/%=$(MANDIR)/man1/%.1) $(MANDIR)/man3/gyr.3 \
    $(patsubst %,$(DOCDIR)/examples/%,$(notdir $(DOC_EXAMPLES)))
# Sources to begin with, and configuration to copy.
DOC_EXAMPLES := $(SRC_EXAMPLES) $(wildcard examples/*.h) packaging/systemd/gyr-echo.default \
    $(wildcard examples/*.html examples/*.js examples/*.conf examples/*.ini)

# Paths below the prefix are written so that they move with it.
RELATIVE = $(patsubst $(PREFIX)/%,$${prefix}/%,$(1))

install: all ## install under PREFIX (/usr/local), below DESTDIR
	install -d $(addprefix $(DESTDIR),$(INCLUDEDIR)/gyr $(LIBDIR) $(PKGCONFIGDIR) $(BINDIR) \
	    $(UNITDIR) $(MANDIR)/man1 $(MANDIR)/man3 $(DOCDIR)/examples)
	install -m 644 include/gyr/*.h $(DESTDIR)$(INCLUDEDIR)/gyr
	install -m 644 $(B)/libgyr.a $(LIB_SO) $(DESTDIR)$(LIBDIR)
	ln -sf libgyr.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libgyr.so.$(SOVERSION)
	ln -sf libgyr.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libgyr.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(call RELATIVE,$(LIBDIR))|' \
	    -e 's|@INCLUDEDIR@|$(call RELATIVE,$(INCLUDEDIR))|' -e 's|@VERSION@|$(VERSION)|' \
	    packaging/gyr.pc.in > $(DESTDIR)$(PKGCONFIGDIR)/gyr.pc
	install -m 755 $(EXAMPLES) $(DESTDIR)$(BINDIR)
	$(foreach unit,$(UNITS),sed -e 's|@BINDIR@|$(BINDIR)|' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|' \
	    packaging/systemd/$(unit) > $(DESTDIR)$(UNITDIR)/$(unit) &&) true
	install -m 644 $(EXAMPLES:$(B)/bin/%=packaging/man/%.1) $(DESTDIR)$(MANDIR)/man1
	awk -f packaging/man/example.awk README.md packaging/man/gyr.3 > $(DESTDIR)$(MANDIR)/man3/gyr.3
	install -m 644 $(DOC_EXAMPLES) $(DESTDIR)$(DOCDIR)/examples

uninstall: ## remove what install put under PREFIX
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	rmdir --ignore-fail-on-non-empty $(addprefix $(DESTDIR),$(INCLUDEDIR)/gyr $(DOCDIR)/examples $(DOCDIR))

deb: ## make Debian packages in build/deb, and check them with lintian
	@tools/setup build package
	@tools/deb $(VERSION)

test-packages: deb ## try what `make deb` has made
	@tools/setup build package
	@+$(MAKE) venv
	@MODE=release tools/test packages
