#include "sink/notice_log.hpp"

#include "base/log.hpp"

namespace wellhead {

void NoticeLog::add(const DatabaseNotice& notice) {
  if (seen_.size() >= distinct_max || !seen_.insert(notice.sqlstate + notice.message).second) return;
  const log::Fields fields = {{"shard", shard_}, {"sqlstate", notice.sqlstate}, {"notice", notice.message}};
  if (notice.severity == "WARNING" || notice.severity == "FATAL")
    log::warning("the database warns; this notice is logged once", fields);
  else
    log::info("the database says; this notice is logged once", fields);
}

}  // namespace wellhead
