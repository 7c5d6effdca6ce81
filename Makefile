# SPDX-License-Identifier: Apache-2.0
#
# How this file works, for who adds to the tree:
#   * Sources are found by wildcard: platform/*.c opencl/*.c runtime/*.c make the library, pack/*.c the packer,
#     twin/*.c the scalar twins, tools/*.c the tool, opencl/kernels/*.cl are embedded. A new file needs no line here.
#   * A test is one file: tests/test_NAME.c (a cmocka program; it may call mx_ and pk_ functions), tests/test_NAME.py
#     (unittest) or tests/test_NAME.sh (prints "ok - what" / "not ok - what").
#     Build one: make build/tests/test_NAME     run one: make test-one T=test_NAME
#     Other tests/*.c files are helpers, linked into all.
#   * B=/some/folder builds there; SKIP="runtime/x.c …" leaves library files out that do not compile yet.
#   * CC=clang, SAN=1 (address and undefined behaviour), PLATFORM=minimal and BOARD=arm64-pocl (a name in boards/, whose
#     toolchain is then used) build into folders of their own.
#   * libmoxie.a is one object: ours plus the needed parts of mbedTLS and utf8proc, whose calls to the allocator and to
#     stdio go to runtime/third_party.c instead; everything not named moxie_… is hidden from the program that links it.

, := ,
CC       := $(if $(filter default undefined,$(origin CC)),gcc,$(CC))
PLATFORM := posix
PREFIX   ?= /usr/local
DESTDIR  :=
SAN      :=
SKIP     :=
LD       := ld
OBJCOPY  := objcopy
# Debian's own, for which python3-numpy is installed
PYTHON   := /usr/bin/python3
# A name in boards/: its toolchain sets CC, LD and OBJCOPY, perhaps PLATFORM
BOARD    :=
ifneq ($(BOARD),)
include boards/$(BOARD)/toolchain
endif

B := build$(if $(BOARD),/boards/$(BOARD),$(if $(filter-out gcc,$(CC)),/$(notdir $(CC))))$(if $(SAN),/san)$(if $(filter-out posix,$(PLATFORM)),/$(PLATFORM))

WARNINGS := -Wall -Wextra -Werror
CFLAGS   := -O2 -g
MX_FLAGS := -std=c11 $(WARNINGS) -ffp-contract=off -ffunction-sections -fdata-sections -fstack-usage -I. \
            -DCL_TARGET_OPENCL_VERSION=120 $(if $(SAN),-fsanitize=address$(,)undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
LDFLAGS  := $(if $(SAN),-fsanitize=address$(,)undefined) -Wl,--gc-sections
LDLIBS   := -larchive -ljansson -lmbedcrypto -lutf8proc -lclblast -lOpenCL -lpthread -lm

# Files of the library. CLBlast is an opt-in with an archive of its own: opencl/clblast*.c.
CLBLAST_C := $(wildcard opencl/clblast*.c)
LIB_C     := $(filter-out platform/posix.c platform/minimal.c,$(wildcard platform/*.c)) $(wildcard platform/$(PLATFORM).c) \
             $(filter-out $(CLBLAST_C),$(wildcard opencl/*.c)) $(wildcard runtime/*.c)
PACK_C    := $(wildcard pack/*.c)
TWIN_C    := $(wildcard twin/*.c)
TOOL_C    := $(wildcard tools/*.c)
TEST_C    := $(wildcard tests/test_*.c)
HELPER_C  := $(filter-out $(TEST_C),$(wildcard tests/*.c))
SCRIPTS   := $(wildcard tests/test_*.py tests/test_*.sh)
# begun first, so that no processor waits for one of them at the end
LONGEST   := $(addprefix tests/test_,oclgrind.sh conformance.sh logits.py)
HEADERS   := $(wildcard platform/moxie*.h opencl/moxie*.h runtime/moxie*.h)
TUNABLES  := $(sort $(wildcard boards/*/tunables))
KERNELS   := $(sort $(wildcard opencl/kernels/*.cl))

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
LIB_O    := $(call obj,$(filter-out $(SKIP),$(LIB_C))) $(B)/obj/kernels.o $(B)/obj/boards.o
TESTS    := $(patsubst tests/%.c,$(B)/tests/%,$(TEST_C))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: help setup lib tool run test test-one lint install clean FORCE
.DEFAULT_GOAL := help

help: ## this list
	@echo "Moxie: Mixture-of-Experts language models on any OpenCL device. Targets:"
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1\t/p' Makefile | expand -t 20

setup: ## install the Debian packages that the build needs (listed in tools/packages.txt)
	@tools/setup.sh build

setup-%:
	@tools/setup.sh build test $*

lib: $(B)/libmoxie.a $(B)/libmoxie_clblast.a ## the library for programs of your own: build/libmoxie.a

tool: $(B)/moxie ## the command-line tool: build/moxie

# The commands that the objects depend on: another flag rebuilds them.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CFLAGS) $(MX_FLAGS)' | cmp -s - $@ || echo '$(CC) $(CFLAGS) $(MX_FLAGS)' > $@

COMPILE = @mkdir -p $(@D)$(newline)	$(CC) $(CFLAGS) $(MX_FLAGS) -MMD -MP -c $< -o $@
define newline


endef

$(B)/obj/%.o: %.c $(B)/flags
	$(COMPILE)

$(B)/obj/%.raw.o: %.c $(B)/flags
	$(COMPILE)

$(B)/obj/%.raw.o: $(B)/%.c $(B)/flags
	$(COMPILE)

$(B)/kernels.c: tools/embed_kernels.sh $(KERNELS) $(B)/sources
	@mkdir -p $(@D)
	tools/embed_kernels.sh $(KERNELS) > $@

# What the library knows of boards: a new folder needs no line of C.
$(B)/boards.c: tools/embed_boards.sh $(TUNABLES) $(B)/sources
	tools/embed_boards.sh $(TUNABLES) > $@

# The list of files: a deleted one must rebuild what contained it.
$(B)/sources: FORCE
	@mkdir -p $(@D)
	@echo '$(KERNELS) $(TUNABLES) $(LIB_O) $(PACK_C) $(TWIN_C) $(TOOL_C)' | cmp -s - $@ || echo '$(KERNELS) $(TUNABLES) $(LIB_O) $(PACK_C) $(TWIN_C) $(TOOL_C)' > $@

# Static mbedTLS and utf8proc, made ours: what they define is renamed to mx_tp_…, what they call to runtime/third_party.c.
THIRD_PARTY_A := $(B)/third_party/libmbedcrypto.a $(B)/third_party/libutf8proc.a
SYSTEM_A       = $(shell $(CC) -print-file-name=$(1))

$(B)/third_party/names: $(foreach a,$(notdir $(THIRD_PARTY_A)),$(call SYSTEM_A,$(a))) Makefile
	@mkdir -p $(@D)
	nm -g --defined-only $(filter %.a,$^) 2>/dev/null | awk 'NF == 3 { print $$3, "mx_tp_" $$3 }' | sort -u > $@

$(B)/third_party/redirected: runtime/third_party.syms Makefile
	@mkdir -p $(@D)
	sed 's/.*/& mx_tp_&/' $< > $@

$(B)/third_party/%.a: $(B)/third_party/names $(B)/third_party/redirected
	$(OBJCOPY) $(patsubst %,--redefine-syms=%,$^) $(call SYSTEM_A,$(@F)) $@

# Our objects call the two libraries by their new names. What is redirected is not renamed here: a heap call of our own
# must stay visible to tests/test_symbols.sh.
$(LIB_O): $(B)/obj/%.o: $(B)/obj/%.raw.o $(B)/third_party/names
	$(OBJCOPY) --redefine-syms=$(B)/third_party/names $< $@

# The library before its symbols are hidden: what tests and the tool link.
$(B)/libmoxie_internal.a: $(LIB_O) $(THIRD_PARTY_A) $(B)/sources
	rm -f $@ && printf '%s\n' 'create $@' $(patsubst %,'addlib %',$(THIRD_PARTY_A)) $(patsubst %,'addmod %',$(LIB_O)) save end | ar -M

# The library as it is delivered: one object, in which everything but moxie_… is local.
$(B)/libmoxie.a: $(LIB_O) $(THIRD_PARTY_A) $(B)/sources
	$(LD) -r -o $(B)/moxie.o $(LIB_O) $(THIRD_PARTY_A)
	$(OBJCOPY) --wildcard --keep-global-symbol='moxie_*' $(B)/moxie.o
	rm -f $@ && ar rcs $@ $(B)/moxie.o

# The opt-in, apart: a program that does not name moxie_clblast needs no CLBlast.
$(B)/libmoxie_clblast.a: $(call obj,$(CLBLAST_C))
	rm -f $@ && ar rcs $@ $^

$(B)/libpack.a: $(call obj,$(PACK_C)) $(B)/sources
	rm -f $@ && ar rcs $@ $(call obj,$(PACK_C))

# The kernels' scalar twins, and what holds a device against them; the reproducer's host program is a text in it.
$(B)/reproduce_text.c: twin/reproduce/reproduce.c
	@mkdir -p $(@D)
	{ echo 'extern const char twin_reproduce_text[];'; echo 'const char twin_reproduce_text[] ='; \
	  sed 's/[\\"?]/\\&/g; s/.*/    "&\\n"/' $<; echo '    "";'; } > $@

$(B)/libtwin.a: $(call obj,$(TWIN_C)) $(B)/obj/reproduce_text.raw.o $(B)/sources
	rm -f $@ && ar rcs $@ $(filter %.o,$^)

# The public interface has to be enough for the tool itself (tests/test_symbols.sh); only twin/ looks behind it.
$(B)/moxie: $(call obj,$(TOOL_C)) $(B)/libtwin.a $(B)/libpack.a $(B)/libmoxie_internal.a
	$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

# The tool on no OpenCL at all: the scalar twins are its device. What the fingerprints of drivers are compared with.
$(B)/moxie-twin: $(call obj,$(wildcard twin/device/*.c) $(TOOL_C)) $(B)/libtwin.a $(B)/libpack.a $(B)/libmoxie_internal.a
	$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

# The assistant (tools/assistant/README.md): bundle and public key become part of the program.
BUNDLE    := tools/assistant/home.moxie
KEY       := tools/assistant/home.pub.pem
ASSISTANT := $(B)/assistant
ASSISTANT_C := $(wildcard tools/assistant/*.c)
assistant: $(ASSISTANT)/assistant ## the assistant for a home in one binary: build/assistant/assistant (BUNDLE=, KEY=: of yours)
.PHONY: assistant

$(ASSISTANT)/assistant_facts.h: tools/assistant/facts.sh $(BUNDLE) $(KEY) $(B)/moxie
	@mkdir -p $(@D)
	tools/assistant/facts.sh $(B)/moxie $(BUNDLE) $(KEY) > $@

$(ASSISTANT)/assistant: $(ASSISTANT_C) $(wildcard tools/assistant/*.h) $(ASSISTANT)/assistant_facts.h $(BUNDLE) $(B)/libmoxie.a
	$(CC) $(CFLAGS) $(MX_FLAGS) -I$(ASSISTANT) -DBUNDLE='"$(BUNDLE)"' $(LDFLAGS) $(ASSISTANT_C) $(B)/libmoxie.a -lOpenCL -lpthread -lm -o $@

$(B)/tests/%: $(B)/obj/tests/%.o $(call obj,$(HELPER_C)) $(B)/libtwin.a $(B)/libpack.a $(B)/libmoxie_clblast.a $(B)/libmoxie_internal.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ $(LDLIBS) -lcmocka -o $@

$(B)/tests/bench/bench_kernels: $(call obj,tests/bench/timed.c tools/bandwidth.c tools/progress.c)
$(B)/tests/test_helpers: $(call obj,tools/helpers.c)

# as many compilers as CPUs, unless make was told a number
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$$(nproc))

# "make run", "make chat" and "make test" first install what is missing, then start over to see it (pkg-config, compilers, headers).
run: ## the assistant for a home: installs, builds, verifies it, answers a few commands and then yours
	@tools/setup.sh build
	@$(MAKE) --no-print-directory -s $(JOBS) tool assistant
	@MOXIE=$(B)/moxie ASSISTANT=$(ASSISTANT)/assistant BUNDLE="$(BUNDLE)" KEY="$(KEY)" tools/assistant/run.sh

chat: ## chat with a larger model: fetches SmolLM2 once (or MODEL=path to a GGUF file or model folder)
	@tools/setup.sh build chat
	@$(MAKE) --no-print-directory -s $(JOBS) tool
	@MOXIE=$(B)/moxie tools/chat.sh $(if $(MODEL),"$(MODEL)")
.PHONY: chat

# what tests/test_*.py and tests/test_*.sh run and look at
SCRIPTS_USE := assistant $(B)/moxie $(B)/moxie-twin $(B)/libmoxie.a $(B)/libmoxie_clblast.a $(B)/tests/test_kernels $(B)/tests/bench/bench_kernels
build-tests: $(TESTS) $(SCRIPTS_USE)
.PHONY: build-tests

test: setup-test ## build and run every test; the last line counts them
	@$(MAKE) --no-print-directory -s $(JOBS) build-tests
	@PYTHON=$(PYTHON) tests/run_tests.sh $(B) $(LONGEST) $(TESTS) $(filter-out $(LONGEST),$(SCRIPTS))

T :=
test-one: $(or $(filter %/$(T),$(TESTS)),$(SCRIPTS_USE)) ## build and run one test: make test-one T=test_crypto
	@[ -n "$(filter %/$(T) tests/$(T).py tests/$(T).sh,$(TESTS) $(SCRIPTS))" ] || { echo "there is no test $(T) in tests/" >&2; exit 2; }
	@PYTHON=$(PYTHON) tests/run_tests.sh $(B) $(filter %/$(T) tests/$(T).py tests/$(T).sh,$(TESTS) $(SCRIPTS))
	@cat $(B)/tests/logs/$(T)*.out

# A driver's leaks are its own affair; Oclgrind preloads itself, in front of the sanitizers (test_engine_device).
sanitize: ## the tests with the address and undefined-behaviour sanitizers
	@ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 $(MAKE) --no-print-directory -s test SAN=1

# Not the tests that call OpenCL: a compiler of kernels takes hours in valgrind, and drivers have findings of their own.
MEMCHECK_T = $(patsubst %.c,$(B)/%,$(shell grep -LE '#include "(opencl/|tests/(engine_kit|kernel_device|fake_opencl)|twin/)' $(TEST_C)))
valgrind: setup-lint ## the tests of everything that needs no device, in valgrind
	@$(MAKE) --no-print-directory -s $(JOBS) $(MEMCHECK_T)
	@printf '%s\n' $(MEMCHECK_T) | xargs -P $$(nproc) -I{} sh -c 'valgrind -q --error-exitcode=9 --leak-check=full {} >{}.log 2>&1 \
	    || { cat {}.log; exit 1; }'
	@echo "valgrind: clean"
.PHONY: sanitize valgrind

kernels-check: ## compile every kernel for devices that are not here: SPIR, NVIDIA, AMD, Arm, x86 variants
	@$(PYTHON) tools/kernels_check.py
.PHONY: kernels-check

conformance: setup-conformance ## moxie conform on every driver that can be installed here, as a table; NAMES="PoCL Intel" picks rows
	@$(MAKE) --no-print-directory -s $(JOBS) tool
	@$(PYTHON) tests/conformance/matrix.py $(NAMES)
.PHONY: conformance

regression: setup-lint ## what this tree costs beside tests/bench/regression.json: instructions, launches, shares of the machine's peaks
	@$(MAKE) --no-print-directory -s $(JOBS) tool $(B)/moxie-twin
	@$(PYTHON) tests/bench/regression --build $(B) $(if $(UPDATE),--update)
.PHONY: regression

lint: setup-lint ## format, static analysis, layers, shell scripts
	@$(MAKE) --no-print-directory -s $(JOBS) lint-all

LINT_C := $(LIB_C) platform/minimal.c $(CLBLAST_C) $(PACK_C) $(TWIN_C) $(wildcard twin/device/*.c) $(TOOL_C) $(ASSISTANT_C) $(TEST_C) $(HELPER_C) \
          $(wildcard tests/bench/*.c tests/conformance/*.c tests/fuzz/*.c)
LINT_H := $(wildcard platform/*.h opencl/*.h runtime/*.h pack/*.h twin/*.h tools/*.h tools/assistant/*.h tests/*.h tests/fuzz/*.h)
LINT_S := $(wildcard tools/*.sh tools/assistant/*.sh tests/*.sh tests/fuzz/*.sh .ci/run)
lint-all: lint-format lint-shell lint-cppcheck $(patsubst %.c,build/lint/%.tidy,$(LINT_C))
	@bash tests/test_layers.sh | sed -n '/^not ok/,/^ok/p' | { ! grep .; }
	@echo "lint: clean"
lint-format:
	clang-format --dry-run -Werror $(LINT_C) $(LINT_H)
lint-shell:
	for script in $(LINT_S); do bash -n $$script || exit 1; done
	shellcheck -x -S warning $(LINT_S)
lint-cppcheck: $(B)/kernels.c
	mkdir -p build/lint/cppcheck
	cppcheck -q -j$$(nproc) --cppcheck-build-dir=build/lint/cppcheck --std=c11 -I. --enable=warning,portability,performance \
	    --inline-suppr --suppress=missingIncludeSystem --suppress=missingInclude --error-exitcode=1 $(LINT_C)
# one stamp per file: only what changed is analysed again
build/lint/tools/assistant/assistant.tidy: $(ASSISTANT)/assistant_facts.h
build/lint/%.tidy: %.c .clang-tidy $(LINT_H)
	mkdir -p $(@D)
	clang-tidy --quiet --warnings-as-errors='*' $< -- $(filter-out -Werror,$(MX_FLAGS)) $(if $(filter $<,$(ASSISTANT_C)),-I$(ASSISTANT) -DBUNDLE='"$(BUNDLE)"') 2>$@.log || { cat $@.log; exit 1; }
	touch $@
.PHONY: lint-all lint-format lint-shell lint-cppcheck

# 0xMMmmpp of runtime/moxie.h
VERSION = $(shell printf '%d.%d.%d' $$(sed -n 's/^.define MOXIE_VERSION 0x\(..\)\(..\)\(..\)u.*/0x\1 0x\2 0x\3/p' runtime/moxie.h))
install: lib tool ## into PREFIX (/usr/local), below DESTDIR: library, headers, pkg-config file, man page, tool, facts of boards
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(B)/libmoxie.a $(B)/libmoxie_clblast.a $(DESTDIR)$(PREFIX)/lib/
	for header in $(HEADERS); do \
	    sed 's:#include "[a-z]*/\(moxie[a-z_]*\.h\)":#include "\1":' $$header > $(DESTDIR)$(PREFIX)/include/$$(basename $$header) || exit 1; done
	sed 's:@PREFIX@:$(PREFIX):; s:@VERSION@:$(VERSION):' tools/moxie.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/moxie.pc
	sed 's:@VERSION@:$(VERSION):' tools/moxie.1.in > $(DESTDIR)$(PREFIX)/share/man/man1/moxie.1
	for board in boards/*/facts*; do \
	    install -D -m 644 $$board $(DESTDIR)$(PREFIX)/share/moxie/$$board || exit 1; done
	install -m 755 $(B)/moxie $(DESTDIR)$(PREFIX)/bin/moxie

clean: ## remove everything that was built
	rm -rf build

-include $(wildcard $(B)/obj/*.d $(B)/obj/*/*.d)
