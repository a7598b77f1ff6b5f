#include "loadgen/ndjson_connection.hpp"

#include <algorithm>

namespace wellhead::loadgen {

void NdjsonConnection::on_open() {
  cut_line_.clear();
  lines_settled_ = 0;
}

Connection::Handled NdjsonConnection::on_bytes(std::string_view bytes, std::int64_t now_ns) {
  for (std::size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
    std::string_view line = bytes.substr(0, end);
    if (!cut_line_.empty()) {
      cut_line_ += line;
      line = cut_line_;
    }
    if (Handled handled = on_line(line, now_ns); !handled) return handled;
    cut_line_.clear();
    bytes.remove_prefix(end + 1);
  }
  cut_line_ += bytes;
  if (cut_line_.size() > line_bytes_max) return std::unexpected("line without an end from the node");
  return {};
}

Connection::Handled NdjsonConnection::on_line(std::string_view line, std::int64_t now_ns) {
  NodeLine meaning = replies().node_line(line);
  if (const auto* ack = std::get_if<AckLine>(&meaning)) return on_ack(*ack, now_ns);
  if (auto* reject = std::get_if<RejectLine>(&meaning)) return on_reject(std::move(*reject));
  return std::unexpected("line from the node that is neither ack nor reject");
}

Connection::Handled NdjsonConnection::on_ack(AckLine ack, std::int64_t now_ns) {
  if (ack.lines < lines_settled_) return std::unexpected("acknowledgement that goes back");
  while (lines_settled_ < ack.lines) {
    if (batches().empty() || batches().front()->sent == 0) {
      return std::unexpected("acknowledgement of lines that were not sent");
    }
    Batch& batch = *batches().front();
    const std::uint64_t lines =
        std::min<std::uint64_t>(ack.lines - lines_settled_, batch.range.count - batch.answered);
    const std::uint32_t end = batch.answered + static_cast<std::uint32_t>(lines);
    // Rejects behind the acknowledged part wait for their own acknowledgement.
    const auto later = std::stable_partition(batch.rejects.begin(), batch.rejects.end(),
                                             [end](const Reject& reject) { return reject.offset < end; });
    std::vector<Reject> waiting(std::make_move_iterator(later), std::make_move_iterator(batch.rejects.end()));
    batch.rejects.erase(later, batch.rejects.end());
    ledger().settle(batch, end, static_cast<std::uint32_t>(batch.rejects.size()), now_ns);
    batch.rejects = std::move(waiting);
    lines_settled_ += lines;
    if (batch.answered < batch.range.count) continue;
    if (!batch.sent_whole()) return std::unexpected("acknowledgement of lines that were not sent");
    retire_front();
  }
  return {};
}

Connection::Handled NdjsonConnection::on_reject(RejectLine reject) {
  if (reject.line <= lines_settled_) return std::unexpected("reject of a line that was settled before");
  std::uint64_t offset = reject.line - lines_settled_ - 1;
  for (const auto& batch : batches()) {
    const std::uint64_t open = batch->range.count - batch->answered;
    if (offset < open) {
      if (batch->sent == 0) break;
      const auto position = batch->answered + static_cast<std::uint32_t>(offset);
      const bool named_before =
          std::any_of(batch->rejects.begin(), batch->rejects.end(),
                      [position](const Reject& known) { return known.offset == position; });
      if (named_before) return std::unexpected("second reject of one line");
      batch->rejects.push_back({.offset = position, .code = std::move(reject.code)});
      return {};
    }
    offset -= open;
  }
  return std::unexpected("reject of a line that was not sent");
}

}  // namespace wellhead::loadgen
