// Judge: ostree (Debian's command): what it commits, checks out and finds sound.

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "image/compose.hpp"
#include "image/directory_source.hpp"
#include "image/layered_tree.hpp"
#include "image/ostree/commit.hpp"
#include "image/tree_edit.hpp"
#include "tests/support/files.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/pattern.hpp"
#include "tests/support/program.hpp"
#include "tests/support/small_files.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using base::Kind;
using image::CommitTree;
using image::ContentCheck;
using image::EmbeddedRepository;
using image::SourcedTree;
using image::ostree::Mode;
using image::ostree::Repository;
using support::FailsWith;
using support::output_of;
using support::run_program;
using support::Succeeds;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* any_time = "1700000000";

/// A repository and a root directory with one of each thing that a root has.
class OstreeCommit : public testing::Test {
 protected:
  OstreeCommit() {
    std::filesystem::create_directories(root + "/usr/bin");
    std::filesystem::create_directories(root + "/usr/lib/empty");
    std::filesystem::create_directories(root + "/ostree");
    write("usr/bin/tool", base::text_of(support::pattern(70'000, 1)));
    write("usr/bin/same", base::text_of(support::pattern(70'000, 1)));
    write("usr/lib/small", "a few bytes\n");
    write("usr/lib/nothing", "");
    write("usr/lib/noch nichts", "");
    write("usr/lib/\u00e4\u00f6\u00fc", "a name that is not ASCII\n");
    std::filesystem::create_symlink("usr/bin", root + "/bin");
    std::filesystem::create_symlink("tool", root + "/usr/bin/alias");
    EXPECT_EQ(::chmod((root + "/usr/bin/tool").c_str(), 0755), 0);
    EXPECT_EQ(::chmod((root + "/usr/lib/empty").c_str(), 01777), 0);
    EXPECT_EQ(::setxattr((root + "/usr/bin/tool").c_str(), "user.note", "abc", 3, 0), 0);
    if (::geteuid() == 0) {
      EXPECT_EQ(::lchown((root + "/usr/lib/small").c_str(), 5, 70'000), 0);
    }
  }

  void write(const std::string& name, std::string_view content) const { directory.write("root/" + name, content); }

  /// Our commit of the root.
  std::string commit_to(const std::string& path, Mode mode) const {
    auto repository = Repository::create(path, mode);
    auto tree = image::read_directory(root);
    if (!repository || !tree) {
      ADD_FAILURE() << path;
      return {};
    }
    auto commit = image::write_commit(*repository, *tree, facts);
    EXPECT_THAT(commit, Succeeds());
    return commit.value_or("");
  }

  /// The digest of the image of what is read, and the image itself at `image`.
  void compose(const std::string& repository, const std::string& commit, const std::string& image,
               EmbeddedRepository embedded = EmbeddedRepository::bare) const {
    auto opened = Repository::open(repository);
    ASSERT_THAT(opened, Succeeds());
    const auto tree = image::read_commit(*opened, commit, embedded);
    ASSERT_THAT(tree, Succeeds());
    ASSERT_THAT(image::compose_root(tree->root.tree, *tree->root.contents, {}, {.image = image}), Succeeds());
  }

  base::Result<base::Bytes> read_all(const CommitTree& tree, const std::string& path) const {
    const auto inode = image::find(tree.root.tree, path);
    if (!inode) return base::fail(Kind::not_found, path);
    TRY(const auto reader, tree.root.contents->open(tree.root.tree.inodes[*inode].content));
    base::Bytes bytes(tree.root.tree.inodes[*inode].size);
    TRY_DO(reader->read(bytes));
    return bytes;
  }

  std::string object_path(const std::string& repository, const std::string& checksum, const std::string& type) const {
    return repository + "/objects/" + checksum.substr(0, 2) + "/" + checksum.substr(2) + "." + type;
  }
  /// The checksum of the file object at a path of a commit.
  std::string object_of(const std::string& repository, const std::string& commit, const std::string& path) const {
    const std::string line = output_of({"ostree", "--repo=" + repository, "ls", "-C", commit, path});
    for (std::size_t at = 0; at + 64 <= line.size(); ++at) {
      const std::string_view word = std::string_view(line).substr(at, 64);
      if (std::ranges::all_of(word, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); })) {
        return std::string(word);
      }
    }
    ADD_FAILURE() << line;
    return {};
  }

  const support::TemporaryDirectory directory;
  const std::string root = directory.path("root");
  const std::string repo = directory.path("repo");
  const image::ostree::CommitFacts facts{.subject = "a subject",
                                         .body = "a body",
                                         .time = 1'700'000'000,
                                         .metadata = {{"version", "1.2.3"}},
                                         .parent = {}};
};

TEST_F(OstreeCommit, IsTheOneThatOstreeMakes) {
  const std::string theirs = directory.path("theirs");
  output_of({"ostree", "--repo=" + theirs, "init", "--mode=archive"});
  const std::string expected = output_of(
      {"ostree", "--repo=" + theirs, "commit", "--branch=x", "--no-bindings", "--subject=a subject", "--body=a body",
       std::string("--timestamp=@") + any_time, "--add-metadata-string=version=1.2.3", "--tree=dir=" + root});
  for (const auto& [name, mode] :
       {std::pair{"bare", Mode::bare}, {"bare-user", Mode::bare_user}, {"archive", Mode::archive}}) {
    SCOPED_TRACE(name);
    EXPECT_EQ(commit_to(directory.path(name), mode), expected);
    output_of({"ostree", "--repo=" + directory.path(name), "fsck"});
  }
}

TEST_F(OstreeCommit, IsReadAsItWasWritten) {
  const std::string commit = commit_to(repo, Mode::archive);
  const std::string from_directory = directory.path("directory.erofs");
  const std::string from_commit = directory.path("commit.erofs");
  const auto opened = Repository::open(repo);
  ASSERT_THAT(opened, Succeeds());
  const auto read = image::read_commit(*opened, commit, EmbeddedRepository::none);
  ASSERT_THAT(read, Succeeds());
  EXPECT_EQ(read->facts.subject, "a subject");
  EXPECT_EQ(read->facts.body, "a body");
  EXPECT_EQ(read->facts.time, 1'700'000'000U);
  EXPECT_EQ(read->facts.metadata.at("version"), "1.2.3");

  // Two files of the root are one object, and so one inode; two others as well.
  const auto& tree = read->root.tree;
  EXPECT_EQ(image::find(tree, "/usr/lib/nothing"), image::find(tree, "/usr/lib/noch nichts"));
  const auto plain = image::read_directory(root);
  ASSERT_THAT(plain, Succeeds());
  ASSERT_EQ(tree.inodes.size(), plain->tree.inodes.size() - 1);
  for (const char* path : {"/", "/bin", "/usr/bin/alias", "/usr/bin/same", "/usr/bin/tool", "/usr/lib",
                           "/usr/lib/empty", "/usr/lib/small", "/usr/lib/nothing", "/usr/lib/\u00e4\u00f6\u00fc"}) {
    SCOPED_TRACE(path);
    const auto ours = image::find(tree, path);
    const auto theirs = image::find(plain->tree, path);
    ASSERT_TRUE(ours && theirs);
    const image::Inode& a = tree.inodes[*ours];
    const image::Inode& b = plain->tree.inodes[*theirs];
    EXPECT_EQ(std::tie(a.type, a.permissions, a.uid, a.gid, a.xattrs, a.size, a.target),
              std::tie(b.type, b.permissions, b.uid, b.gid, b.xattrs, b.size, b.target));
  }
  EXPECT_THAT(read_all(*read, "/usr/bin/tool"), support::Holds(support::pattern(70'000, 1)));
}

TEST_F(OstreeCommit, GivesTheSameImageFromEveryRepositoryThatHasIt) {
  const std::string commit = commit_to(repo, Mode::bare);
  commit_to(directory.path("user"), Mode::bare_user);
  commit_to(directory.path("archive"), Mode::archive);
  // A node: an older commit in its root's repository, and what is new in a scratch repository above it.
  const std::string node = directory.path("node");
  const std::string tool = root + "/usr/bin/tool";
  const std::string kept = support::slurp(root + "/usr/lib/small");
  std::filesystem::rename(tool, directory.path("tool"));
  write("usr/lib/small", "what it was before\n");
  commit_to(node, Mode::bare);
  std::filesystem::rename(directory.path("tool"), tool);
  write("usr/lib/small", kept);
  const std::string scratch = directory.path("scratch");
  output_of({"ostree", "--repo=" + scratch, "init", "--mode=bare"});
  output_of({"ostree", "--repo=" + scratch, "config", "set", "core.parent", node});
  output_of({"ostree", "--repo=" + scratch, "pull-local", repo, commit});
  EXPECT_FALSE(std::filesystem::exists(object_path(scratch, object_of(repo, commit, "/usr/bin/same"), "file")));

  compose(repo, commit, directory.path("bare.erofs"));
  const std::string expected = support::slurp(directory.path("bare.erofs"));
  for (const char* name : {"user", "archive", "scratch"}) {
    compose(directory.path(name), commit, directory.path("again.erofs"));
    EXPECT_EQ(support::slurp(directory.path("again.erofs")), expected) << name;
  }
}

TEST_F(OstreeCommit, CarriesItsOwnRepositoryInTheImage) {
  // fsck.erofs gives files back without owners, so this root has none but ours.
  if (::geteuid() == 0) {
    EXPECT_EQ(::lchown((root + "/usr/lib/small").c_str(), 0, 0), 0);
  }
  const std::string commit = commit_to(repo, Mode::bare);
  const std::string image = directory.path("image.erofs");
  compose(repo, commit, image);
  const std::string extracted = directory.path("extracted");
  output_of({"fsck.erofs", "--extract=" + extracted, image});
  struct stat status{};
  ASSERT_EQ(::stat((extracted + "/ostree/repo").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0700U);
  EXPECT_EQ(support::slurp(extracted + "/ostree/repo/refs/heads/os"), commit + "\n");
  EXPECT_EQ(output_of({"ostree", "--repo=" + extracted + "/ostree/repo", "rev-parse", "os"}), commit);
  // Everything that the commit reaches is there, and nothing else: the same list as in the repository it came from.
  const auto objects = [](const std::string& of) {
    return output_of({"sh", "-c", "cd \"$1/objects\" && find . -type f -o -type l | sort", "sh", of});
  };
  EXPECT_EQ(objects(extracted + "/ostree/repo"), objects(repo));
  // Only the attribute on /usr/bin/tool is lost by fsck.erofs (1.5); its own object says so, and no other.
  const auto sound = run_program({"ostree", "--repo=" + extracted + "/ostree/repo", "fsck", "-a"});
  const std::string verdict = sound.output + sound.errors;
  const std::string tool = object_of(repo, commit, "/usr/bin/tool");
  for (std::size_t at = verdict.find("corrupted"); at != std::string::npos; at = verdict.find("corrupted", at + 1)) {
    EXPECT_NE(verdict.find(tool), std::string::npos) << verdict;
  }
}

TEST_F(OstreeCommit, HasItsFilesCheckedWhileTheyAreRead) {
  const std::string commit = commit_to(repo, Mode::bare);
  const std::string tool = object_of(repo, commit, "/usr/bin/tool");
  const auto opened = Repository::open(repo);
  ASSERT_THAT(opened, Succeeds());
  const auto read = image::read_commit(*opened, commit, EmbeddedRepository::none);
  const auto unchecked = image::read_commit(*opened, commit, EmbeddedRepository::none, ContentCheck::none);
  ASSERT_THAT(read, Succeeds());
  ASSERT_THAT(unchecked, Succeeds());

  support::flip_byte(object_path(repo, tool, "file"), 69'999);
  EXPECT_THAT(read_all(*read, "/usr/bin/tool"), FailsWith(Kind::corrupt, HasSubstr(tool)));
  EXPECT_THAT(read_all(*unchecked, "/usr/bin/tool"), Succeeds());

  std::filesystem::resize_file(object_path(repo, tool, "file"), 69'998);
  EXPECT_THAT(read_all(*read, "/usr/bin/tool"), FailsWith(Kind::corrupt, HasSubstr(tool)));
  EXPECT_THAT(read_all(*unchecked, "/usr/bin/tool"), FailsWith(Kind::corrupt, HasSubstr(tool)));

  std::filesystem::remove(object_path(repo, tool, "file"));
  EXPECT_THAT(read_all(*read, "/usr/bin/tool"), FailsWith(Kind::not_found, HasSubstr(tool)));
  EXPECT_THAT(image::read_commit(*opened, commit, EmbeddedRepository::none),
              FailsWith(Kind::not_found, HasSubstr("tool")));
}

TEST_F(OstreeCommit, IsRefusedWhenItsMetadataIsNotWhatItWas) {
  const std::string commit = commit_to(repo, Mode::bare);
  std::vector<std::string> metadata;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(repo + "/objects")) {
    if (entry.is_regular_file() && !entry.path().string().ends_with(".file")) metadata.push_back(entry.path());
  }
  ASSERT_GE(metadata.size(), 6U);
  for (const std::string& path : metadata) {
    SCOPED_TRACE(path);
    support::flip_byte(path, 0);
    const auto opened = Repository::open(repo);
    ASSERT_THAT(opened, Succeeds());
    const std::string name = std::filesystem::path(path).stem().string();
    EXPECT_THAT(image::read_commit(*opened, commit, EmbeddedRepository::none),
                FailsWith(Kind::corrupt, HasSubstr(name)));
    support::flip_byte(path, 0);
  }
}

TEST_F(OstreeCommit, IsWrittenAgainWithoutReadingWhatIsThere) {
  /// Counts what is opened.
  class Counted final : public image::ContentSource {
   public:
    explicit Counted(std::unique_ptr<image::ContentSource> from) : from_(std::move(from)) {}
    base::Result<std::unique_ptr<image::ContentReader>> open(image::ContentId content) const override {
      ++opened;
      return from_->open(content);
    }
    const image::StoredObject* stored_as(image::ContentId content) const override { return from_->stored_as(content); }
    mutable int opened = 0;

   private:
    std::unique_ptr<image::ContentSource> from_;
  };
  const std::string commit = commit_to(repo, Mode::archive);
  auto opened = Repository::open(repo);
  ASSERT_THAT(opened, Succeeds());
  auto read = image::read_commit(*opened, commit, EmbeddedRepository::none);
  ASSERT_THAT(read, Succeeds());
  auto counted = std::make_unique<Counted>(std::move(read->root.contents));
  const Counted& count = *counted;
  SourcedTree changed{std::move(read->root.tree), std::move(counted)};
  EXPECT_THAT(image::write_commit(*opened, changed, facts), support::Holds(commit));
  EXPECT_EQ(count.opened, 0);
  changed.tree.inodes[*image::find(changed.tree, "/usr/bin/tool")].permissions = 0700;
  const auto second = image::write_commit(*opened, changed, facts);
  ASSERT_THAT(second, Succeeds());
  EXPECT_EQ(count.opened, 1);
  EXPECT_THAT(output_of({"ostree", "--repo=" + repo, "diff", commit, *second}), HasSubstr("M    /usr/bin/tool"));
  output_of({"ostree", "--repo=" + repo, "fsck"});
}

TEST_F(OstreeCommit, IsMadeOfAnotherAndChanges) {
  const std::string before = commit_to(repo, Mode::archive);
  auto opened = Repository::open(repo);
  ASSERT_THAT(opened, Succeeds());
  auto lower = image::read_commit(*opened, before, EmbeddedRepository::none);
  ASSERT_THAT(lower, Succeeds());
  std::filesystem::create_directories(directory.path("changes/usr/lib/added"));
  directory.write("changes/usr/lib/added/file", "new");
  directory.write("changes/usr/lib/small", "changed");
  auto upper = image::read_directory(directory.path("changes"));
  ASSERT_THAT(upper, Succeeds());
  const SourcedTree both = image::layered(std::move(lower->root), *std::move(upper));
  const auto after = image::write_commit(*opened, both, facts);
  ASSERT_THAT(after, Succeeds());
  const std::string difference = output_of({"ostree", "--repo=" + repo, "diff", before, *after});
  EXPECT_THAT(difference, AllOf(HasSubstr("M    /usr/lib/small"), HasSubstr("A    /usr/lib/added\n"),
                                HasSubstr("A    /usr/lib/added/file")));
  EXPECT_EQ(difference.find("/usr/bin"), std::string::npos);
  output_of({"ostree", "--repo=" + repo, "fsck"});
}

TEST_F(OstreeCommit, LeavesNothingBehindOnAFullDisk) {
  const std::string commit = commit_to(repo, Mode::archive);
  const auto opened = Repository::open(repo);
  ASSERT_THAT(opened, Succeeds());
  const auto tree = image::read_commit(*opened, commit, EmbeddedRepository::bare);
  ASSERT_THAT(tree, Succeeds());
  const support::SmallFiles limit(rlim_t{16} << 10);
  EXPECT_THAT(image::compose_root(tree->root.tree, *tree->root.contents, {},
                                  {directory.path("full.erofs"), directory.path("full.verity")}),
              FailsWith(Kind::no_space, HasSubstr("full.erofs")));
  for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    EXPECT_FALSE(entry.path().filename().string().starts_with("full")) << entry.path();
  }
}

TEST_F(OstreeCommit, RefusesWhatOstreeCannotHold) {
  auto opened = Repository::create(repo, Mode::archive);
  ASSERT_THAT(opened, Succeeds());
  ASSERT_EQ(::mkfifo((root + "/usr/pipe").c_str(), 0600), 0);
  const auto with_pipe = image::read_directory(root);
  ASSERT_THAT(with_pipe, Succeeds());
  EXPECT_THAT(image::write_commit(*opened, *with_pipe, facts), FailsWith(Kind::invalid_input, HasSubstr("/usr/pipe")));
  std::filesystem::remove(root + "/usr/pipe");
  write("usr/\xff", "a name that is no UTF-8");
  const auto with_name = image::read_directory(root);
  ASSERT_THAT(with_name, Succeeds());
  EXPECT_THAT(image::write_commit(*opened, *with_name, facts),
              FailsWith(Kind::invalid_input, AllOf(HasSubstr("/usr/\xff"), HasSubstr("UTF-8"))));
  std::filesystem::remove(root + "/usr/\xff");
  std::filesystem::create_symlink("\xfe", root + "/usr/link");
  const auto with_target = image::read_directory(root);
  ASSERT_THAT(with_target, Succeeds());
  EXPECT_THAT(image::write_commit(*opened, *with_target, facts),
              FailsWith(Kind::invalid_input, HasSubstr("/usr/link")));
  // Nothing of it was left behind.
  EXPECT_THAT(run_program({"ostree", "--repo=" + repo, "fsck"}).output, HasSubstr("of 0 commits"));
}

TEST(OstreeRepository, SaysWhatIsNotThere) {
  const support::TemporaryDirectory directory;
  EXPECT_THAT(Repository::open(directory.path("none")), FailsWith(Kind::not_found, HasSubstr(directory.path("none"))));
  auto repository = Repository::create(directory.path("repo"), Mode::archive);
  ASSERT_THAT(repository, Succeeds());
  EXPECT_THAT(repository->resolve("os"), FailsWith(Kind::not_found, HasSubstr("os")));
  EXPECT_THAT(image::read_commit(*repository, std::string(64, 'a'), EmbeddedRepository::none),
              FailsWith(Kind::not_found, HasSubstr("the commit object aaaa")));
  EXPECT_THAT(Repository::create(directory.path("repo"), Mode::bare),
              FailsWith(Kind::invalid_input, HasSubstr("mode")));
}

}  // namespace
