#pragma once

#include <set>
#include <string>
#include <vector>

#include "image/file_tree.hpp"

namespace image {

// The form that a root has in a commit: what belongs to the version lies in /usr, what belongs to the host is
// elsewhere.
//
//   /usr                           as it is; /bin, /lib, /lib32, /lib64, /libx32, /sbin are links into it
//   /usr/lib/modules/<release>     has the kernel, as vmlinuz, and its config
//   /usr/etc                       what /etc was: the base of the merge
//   /usr/share/factory/var         what /var was
//   /home /root /opt /srv /mnt     links: var/home, var/roothome, var/opt, var/srv, var/mnt
//   /media                         a link: run/media
//   /boot /dev /efi /etc /ostree /proc /run /sys /tmp /var      empty directories, of root's
//
// No devices, pipes or sockets: what needs one makes it at boot.

/// The same root in canonical form. A kernel /boot/vmlinuz-<release> and its /boot/config-<release> move to their
/// modules; what else lay in /boot, /dev, /efi, /ostree, /proc, /run, /sys and /tmp is dropped, as are Debian's links
/// to a kernel (/vmlinuz, /initrd.img) and devices, pipes and sockets anywhere; what lay in /home and its like goes to
/// /usr/share/factory/var, where they will point. A root that is in the form already is returned as it is (tidied).
FileTree in_canonical_form(const FileTree& tree);

struct CanonicalRules {
  /// The only files that may be set-user-ID or set-group-ID, by path.
  std::set<std::string> set_id_files;
  /// Says yes to all of them, for who does not keep a list.
  bool any_set_id_file = false;
};

/// What is wrong with a root that should be in canonical form, a sentence each that begins with the path; at most 100,
/// in the order of the walk. Nothing: it is.
std::vector<std::string> canonical_form_violations(const FileTree& tree, const CanonicalRules& rules);

}  // namespace image
