#include "net/producer_greeting.hpp"

#include <gtest/gtest.h>

namespace wellhead {
namespace {

TEST(ProducerGreeting, NamesTheProducerAndTheNextLine) {
  const auto greeting = read_greeting(R"({"producer":"pump-7","sequence":4001})");
  ASSERT_TRUE(greeting);
  EXPECT_EQ(greeting->fault, "");
  EXPECT_EQ(greeting->producer, "pump-7");
  EXPECT_EQ(greeting->sequence, 4001U);
}

TEST(ProducerGreeting, MayLeaveTheNextLineToTheNode) {
  const auto greeting = read_greeting(" { \"producer\" : \"a\" } \r\n");
  ASSERT_TRUE(greeting);
  EXPECT_EQ(greeting->fault, "");
  EXPECT_EQ(greeting->producer, "a");
  EXPECT_EQ(greeting->sequence, std::nullopt);
}

TEST(ProducerGreeting, IsNotWhatLooksLikeARecord) {
  for (const std::string line : {
           R"({"timestamp":"2026-03-01T12:00:00Z","device_id":"producer"})",
           R"({"producer":"pump-7","timestamp":1})",
           R"({"device_id":"x","note":{"producer":"pump-7"}})",
           R"(["producer"])",
           R"("producer")",
           R"({"sequence":1})",
           R"({"producer":"pump-7")",
           R"({"producer":"pump-7"} {"producer":"pump-7"})",
           "",
       })
    EXPECT_FALSE(read_greeting(line)) << line;
  EXPECT_FALSE(read_greeting("{\"producer\":\"" + std::string(4'000, 'x') + "\"}"));
}

TEST(ProducerGreeting, SaysWhatIsWrongWithIt) {
  for (const std::string line :
       {R"({"producer":7})", R"({"producer":null,"sequence":1})", R"({"producer":""})",
        R"({"producer":"two words"})", R"({"producer":"p\u00fcmp"})", R"({"producer":"line\n"})"}) {
    const auto greeting = read_greeting(line);
    ASSERT_TRUE(greeting) << line;
    EXPECT_NE(greeting->fault.find("\"producer\""), std::string::npos) << line;
  }
  for (const std::string sequence : {"0", "-1", "1.5", "\"1\"", "null", "9007199254740992"}) {
    const auto greeting = read_greeting(R"({"producer":"pump-7","sequence":)" + sequence + "}");
    ASSERT_TRUE(greeting) << sequence;
    EXPECT_NE(greeting->fault.find("\"sequence\""), std::string::npos) << sequence;
  }
}

TEST(ProducerGreeting, ANameHasOneTo255VisibleCharacters) {
  EXPECT_TRUE(is_retry_name("!"));
  EXPECT_TRUE(is_retry_name(std::string(255, '~')));
  EXPECT_FALSE(is_retry_name(""));
  EXPECT_FALSE(is_retry_name(std::string(256, 'a')));
  EXPECT_FALSE(is_retry_name("a b"));
  EXPECT_FALSE(is_retry_name("a\x7f"));
  EXPECT_FALSE(is_retry_name("\xc3\xbc"));
}

}  // namespace
}  // namespace wellhead
