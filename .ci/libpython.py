"""Exits 0 when programs can be linked with this interpreter's libpython."""

import os
import sys
import sysconfig

name = sysconfig.get_config_var("LDLIBRARY") or ""
folders = [sysconfig.get_config_var(key) or "" for key in ("LIBDIR", "LIBPL")]
sys.exit(not any(name and os.path.exists(os.path.join(folder, name)) for folder in folders))
