#include "engine/dead_letter_print.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace wellhead {
namespace {

DeadLetterEntry entry() {
  DeadLetterEntry entry;
  entry.id = "019c0000-0000-7001-8000-000000000001";
  entry.received_at = "2026-03-01T12:00:00.000000Z";
  entry.stream = "telemetry";
  entry.code = "wrong_type";
  entry.field = "rpm";
  entry.message = "\"rpm\" takes a number; the record has the string \"fast\".";
  entry.device_id = "well-7";
  entry.record_index = "3";
  entry.payload_form = "original";
  entry.payload = "{\"rpm\":\"fast\"}";
  entry.payload_bytes = entry.kept_bytes = entry.payload.size();
  return entry;
}

TEST(DeadLetterPrint, ALineHasWhatIsNeededToChooseOne) {
  const std::string line = print_line(entry());
  for (const char* part : {"2026-03-01T12:00:00", "019c0000-0000-7001", "telemetry", "wrong_type(rpm)",
                           "well-7", "takes a number"})
    EXPECT_NE(line.find(part), std::string::npos) << part << " in " << line;
  EXPECT_EQ(std::ranges::count(line, '\n'), 1);
}

TEST(DeadLetterPrint, AClientsTextCannotTakeHoldOfTheTerminal) {
  DeadLetterEntry hostile = entry();
  hostile.message = "a\x1b[2Jb\nc\xc2\x9b";
  hostile.device_id = "\x1b]0;x\x07";
  for (const std::string& text : {print_line(hostile), print_letter(hostile)}) {
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_EQ(text.find('\x07'), std::string::npos);
    EXPECT_NE(text.find("a\\x1b[2Jb c\\xc2\\x9b"), std::string::npos) << text;
  }
}

TEST(DeadLetterPrint, BytesThatAreNoTextAreEscaped) {
  EXPECT_EQ(escaped("{\n\t\"µ\":1}"), "{\n\t\"µ\":1}");
  EXPECT_EQ(escaped(std::string_view("\0\xff\r", 3)), "\\x00\\xff\\x0d");
}

TEST(DeadLetterPrint, AJsonLineSaysNullForWhatIsNotKnown) {
  EXPECT_EQ(
      print_json(entry()),
      R"({"id":"019c0000-0000-7001-8000-000000000001","received_at":"2026-03-01T12:00:00.000000Z",)"
      R"("node_id":null,"stream":"telemetry","code":"wrong_type","field":"rpm",)"
      R"("message":"\"rpm\" takes a number; the record has the string \"fast\".","sqlstate":null,)"
      R"("source":null,"device_id":"well-7","record_index":3,"payload_form":"original","replayed_at":null,)"
      R"("payload_bytes":14,"kept_bytes":14})"
      "\n");
}

TEST(DeadLetterPrint, ALetterSaysHowMuchOfTheRecordItHolds) {
  EXPECT_NE(print_letter(entry()).find("payload:     14 bytes\n\n{\"rpm\":\"fast\"}\n"), std::string::npos);
  DeadLetterEntry cut = entry();
  cut.payload_bytes = 100;
  EXPECT_NE(print_letter(cut).find("the first 14 of 100 bytes"), std::string::npos);
  cut.payload.clear();
  cut.kept_bytes = cut.payload_bytes = 0;
  EXPECT_NE(print_letter(cut).find("payload:     none\n"), std::string::npos);
}

}  // namespace
}  // namespace wellhead
