#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "engine/config.hpp"

namespace wellhead {
namespace {

// Between these lines docs/configuration.md holds what `wellhead check --list-keys` prints.
constexpr std::string_view begin_mark = "<!-- keys: begin -->\n";
constexpr std::string_view end_mark = "<!-- keys: end -->";

std::string read_document() {
  std::ifstream file(WELLHEAD_SOURCE_DIR "/docs/configuration.md");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(Reference, TheDocumentHoldsEveryKeyAsTheProgramKnowsIt) {
  const std::string document = read_document();
  const std::size_t begin = document.find(begin_mark);
  const std::size_t end = document.find(end_mark);
  ASSERT_NE(begin, std::string::npos);
  ASSERT_NE(end, std::string::npos);
  EXPECT_EQ(document.substr(begin + begin_mark.size(), end - begin - begin_mark.size()), print_reference())
      << "Put the output of `wellhead check --list-keys` between the marks of docs/configuration.md.";
}

// The examples of the document, each between ```toml and ```.
std::vector<std::string> examples() {
  std::vector<std::string> found;
  const std::string document = read_document();
  constexpr std::string_view fence = "```toml\n";
  for (std::size_t at = document.find(fence); at != std::string::npos; at = document.find(fence, at + 1)) {
    const std::size_t begin = at + fence.size();
    found.push_back(document.substr(begin, document.find("```", begin) - begin));
  }
  return found;
}

TEST(Reference, EveryExampleOfTheDocumentIsAGoodConfiguration) {
  const std::vector<std::string> all = examples();
  ASSERT_GE(all.size(), 2U);
  for (const std::string& example : all) {
    const std::string path = testing::TempDir() + "wellhead-example.toml";
    std::ofstream(path) << example;
    const auto loaded = load_config({path, {}, {}});
    EXPECT_TRUE(loaded) << example << testing::PrintToString(loaded.error());
  }
}

}  // namespace
}  // namespace wellhead
