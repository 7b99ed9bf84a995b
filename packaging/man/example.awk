# SPDX-License-Identifier: MIT
# Puts the service of README.md in the place of @EXAMPLE@ in a manual page:
# awk -f example.awk README.md gyr.3
FNR == NR {
    if ($0 == "```") { inside = 0 }
    if (inside) {
        gsub(/\\/, "\\e")
        example = example $0 "\n"
    }
    if ($0 == "```c") { inside = 1 }
    next
}
$0 == "@EXAMPLE@" { printf "%s", example; next }
{ print }
