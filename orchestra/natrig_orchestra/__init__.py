# SPDX-License-Identifier: BSD-3-Clause
"""natrig's Python side: it runs the natrig program and reads its JSON.

Nothing that natrig does is done again here.
"""
