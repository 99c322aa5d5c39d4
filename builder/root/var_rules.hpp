#pragma once

#include <string>

#include "image/file_tree.hpp"

namespace builder::root {

/// tmpfiles.d(5) rules that make /var what a root in canonical form has in /usr/share/factory/var: directories are
/// made, files and links copied where a host has none; what a host has changed stays. Also the targets of /home, /root,
/// /opt, /srv and /mnt.
std::string var_rules(const image::FileTree& canonical);

/// Where they belong.
inline constexpr const char* var_rules_path = "/usr/lib/tmpfiles.d/00-keelson-var.conf";

}  // namespace builder::root
