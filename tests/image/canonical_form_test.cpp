#include "image/canonical_form.hpp"

#include <gmock/gmock.h>

#include "image/tree_edit.hpp"
#include "tests/support/matchers.hpp"

namespace {

using image::add_inode;
using image::FileTree;
using image::FileType;
using image::Inode;
using image::InodeIndex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

InodeIndex directory(FileTree& tree, const std::string& path) {
  const auto made = image::make_directories(tree, path);
  EXPECT_THAT(made, support::Succeeds());
  return made.value_or(0);
}

void put(FileTree& tree, const std::string& parent, const std::string& name, Inode inode) {
  set_entry(tree, directory(tree, parent), name, add_inode(tree, std::move(inode)));
}

/// A root as Debian's installer leaves it, as far as the form cares.
FileTree debian_root() {
  FileTree tree;
  add_inode(tree, image::directory_inode());
  for (const char* path :
       {"/usr/bin", "/usr/lib", "/usr/sbin", "/etc/apt", "/var/lib/dpkg", "/var/log", "/boot/grub", "/dev", "/proc",
        "/sys", "/run/lock", "/tmp", "/home", "/root", "/opt/vendor", "/srv", "/mnt", "/media"}) {
    directory(tree, path);
  }
  for (const char* name : {"bin", "lib", "sbin"})
    put(tree, "/", name, image::symlink_inode("usr/" + std::string(name)));
  put(tree, "/", "vmlinuz", image::symlink_inode("boot/vmlinuz-6.1"));
  for (const char* name : {"vmlinuz-6.1.0-amd64", "config-6.1.0-amd64", "initrd.img-6.1.0-amd64"})
    put(tree, "/boot", name, {});
  directory(tree, "/usr/lib/modules/6.1.0-amd64/kernel");
  put(tree, "/etc", "hostname", {});
  put(tree, "/root", ".profile", {});
  Inode device;
  device.type = FileType::character_device;
  put(tree, "/dev", "null", device);
  put(tree, "/usr/lib", "zero", device);
  return tree;
}

std::vector<std::string> violations(const FileTree& tree) {
  return image::canonical_form_violations(tree, {});
}

TEST(CanonicalForm, IsWhatADebianRootBecomes) {
  const FileTree tree = image::in_canonical_form(debian_root());
  EXPECT_THAT(image::check(tree), support::Succeeds());
  EXPECT_THAT(violations(tree), IsEmpty());
  for (const char* path :
       {"/usr/etc/hostname", "/usr/etc/apt", "/usr/share/factory/var/lib/dpkg",
        "/usr/share/factory/var/roothome/.profile", "/usr/share/factory/var/opt/vendor",
        "/usr/lib/modules/6.1.0-amd64/vmlinuz", "/usr/lib/modules/6.1.0-amd64/config", "/efi", "/ostree"}) {
    EXPECT_TRUE(image::find(tree, path)) << path;
  }
  for (const char* path : {"/etc/hostname", "/var/log", "/boot/grub", "/dev/null", "/usr/lib/zero", "/run/lock",
                           "/vmlinuz", "/usr/share/factory/var/home"}) {
    EXPECT_FALSE(image::find(tree, path)) << path;
  }
  EXPECT_EQ(tree.inodes[*image::find(tree, "/root")].target, "var/roothome");
  EXPECT_EQ(tree.inodes[*image::find(tree, "/tmp")].permissions, 01777);
}

TEST(CanonicalForm, IsLeftAsItIs) {
  const FileTree once = image::in_canonical_form(debian_root());
  const FileTree twice = image::in_canonical_form(once);
  ASSERT_EQ(twice.inodes.size(), once.inodes.size());
  for (std::size_t i = 0; i < once.inodes.size(); ++i) {
    EXPECT_EQ(twice.inodes[i].type, once.inodes[i].type);
    EXPECT_EQ(twice.inodes[i].entries.size(), once.inodes[i].entries.size());
    EXPECT_EQ(twice.inodes[i].target, once.inodes[i].target);
  }
}

TEST(CanonicalForm, LosesNothingWhereBothPlacesHaveSomething) {
  FileTree tree = debian_root();
  put(tree, "/usr/etc", "vendor.conf", {});
  put(tree, "/usr/etc/apt", "old", {});
  put(tree, "/etc/apt", "new", {});
  put(tree, "/usr/share/factory/var/lib", "ours", {});
  tree = image::in_canonical_form(tree);
  EXPECT_THAT(violations(tree), IsEmpty());
  for (const char* path : {"/usr/etc/vendor.conf", "/usr/etc/hostname", "/usr/etc/apt/old", "/usr/etc/apt/new",
                           "/usr/share/factory/var/lib/ours", "/usr/share/factory/var/lib/dpkg"}) {
    EXPECT_TRUE(image::find(tree, path)) << path;
  }
}

struct Violation {
  const char* what;
  void (*make)(FileTree& tree);
  const char* said;
};

class CanonicalFormRefuses : public testing::TestWithParam<Violation> {};

TEST_P(CanonicalFormRefuses, AndSaysWhere) {
  FileTree tree = image::in_canonical_form(debian_root());
  GetParam().make(tree);
  EXPECT_THAT(violations(tree), ElementsAre(HasSubstr(GetParam().said)));
}

void put_file(FileTree& tree, const std::string& parent, const std::string& name, std::uint16_t permissions) {
  Inode file;
  file.permissions = permissions;
  put(tree, parent, name, file);
}

INSTANTIATE_TEST_SUITE_P(
    One, CanonicalFormRefuses,
    testing::Values(Violation{"a device",
                              [](FileTree& tree) {
                                Inode device;
                                device.type = FileType::block_device;
                                put(tree, "/usr/lib", "disk", device);
                              },
                              "/usr/lib/disk: is a device"},
                    Violation{"a link out of the merged /usr",
                              [](FileTree& tree) { put(tree, "/", "lib", image::symlink_inode("/opt/lib")); },
                              "/lib: must be a link to \"usr/lib\", and is a link to \"/opt/lib\""},
                    Violation{"a root that is not merged",
                              [](FileTree& tree) { put(tree, "/", "sbin", image::directory_inode()); },
                              "/sbin: must be a link to \"usr/sbin\", and is no link"},
                    Violation{"a set-user-ID file", [](FileTree& tree) { put_file(tree, "/usr/bin", "su", 04755); },
                              "/usr/bin/su: is set-user-ID"},
                    Violation{"a set-group-ID file", [](FileTree& tree) { put_file(tree, "/usr/bin", "wall", 02755); },
                              "/usr/bin/wall: is set-user-ID or set-group-ID"},
                    Violation{"a name that is no UTF-8", [](FileTree& tree) { put_file(tree, "/usr", "\xff", 0644); },
                              "its name is not UTF-8"},
                    Violation{"something in /etc", [](FileTree& tree) { put_file(tree, "/etc", "motd", 0644); },
                              "/etc: must be empty, and has \"motd\" in it"},
                    Violation{"something of its own in the root",
                              [](FileTree& tree) { put_file(tree, "/", "nix", 0644); },
                              "/nix: has no place in the root"},
                    Violation{"an empty directory that is missing",
                              [](FileTree& tree) { image::remove_entry(tree, 0, "proc"); }, "/proc: is missing"},
                    Violation{"other permissions",
                              [](FileTree& tree) { tree.inodes[*image::find(tree, "/tmp")].permissions = 0755; },
                              "/tmp: must be of root's"},
                    Violation{"an attribute of another host",
                              [](FileTree& tree) {
                                Inode file;
                                file.xattrs["security.selinux"] = {std::byte{1}};
                                put(tree, "/usr", "labelled", file);
                              },
                              "/usr/labelled: has the extended attribute security.selinux"}),
    [](const auto& each) {
      std::string name = each.param.what;
      std::ranges::replace_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
      return name;
    });

TEST(CanonicalForm, TakesTheSetIdFilesThatAreListed) {
  FileTree tree = image::in_canonical_form(debian_root());
  put_file(tree, "/usr/bin", "su", 04755);
  put_file(tree, "/usr/bin", "mount", 04755);
  EXPECT_THAT(image::canonical_form_violations(tree, {.set_id_files = {"/usr/bin/su", "/usr/bin/mount"}}), IsEmpty());
  EXPECT_THAT(image::canonical_form_violations(tree, {.set_id_files = {"/usr/bin/su"}}),
              ElementsAre(HasSubstr("/usr/bin/mount")));
  EXPECT_THAT(image::canonical_form_violations(tree, {.any_set_id_file = true}), IsEmpty());
}

TEST(TreeEdit, TidiesIntoTheOrderOfTheWalk) {
  FileTree tree;
  add_inode(tree, image::directory_inode());
  put(tree, "/b", "x", {});
  put(tree, "/a", "y", {});
  const InodeIndex y = *image::find(tree, "/a/y");
  set_entry(tree, 0, "c", y);  // a hard link
  put(tree, "/a", "gone", {});
  image::remove_entry(tree, *image::find(tree, "/a"), "gone");
  const FileTree tidy = image::tidied(tree);
  EXPECT_EQ(tidy.inodes.size(), 5U);
  EXPECT_EQ(image::find(tidy, "/a"), 1U);
  EXPECT_EQ(image::find(tidy, "/a/y"), 2U);
  EXPECT_EQ(image::find(tidy, "/b"), 3U);
  EXPECT_EQ(image::find(tidy, "/b/x"), 4U);
  EXPECT_EQ(image::find(tidy, "/c"), 2U);
  EXPECT_THAT(image::check(tidy), support::Succeeds());
}

TEST(TreeEdit, DoesNotMakeADirectoryOfSomethingElse) {
  FileTree tree = debian_root();
  EXPECT_THAT(image::make_directories(tree, "/etc/hostname/x"),
              support::FailsWith(base::Kind::invalid_input, HasSubstr("hostname")));
  EXPECT_THAT(image::make_directories(tree, "/etc/../usr"),
              support::FailsWith(base::Kind::invalid_input, HasSubstr("..")));
  EXPECT_EQ(image::find(tree, "/etc/none/below"), std::nullopt);
  EXPECT_EQ(image::find(tree, "/etc/hostname/below"), std::nullopt);
}

}  // namespace
