-- A claim goes from lane to lane and takes the oldest items of each: what waits in one lane costs the others nothing.
drop index log.due_work_due;
drop index log.due_work_lane;
create index due_work_lane on log.due_work (kind, lane, parked, run_at);
-- A lease changes no index; with room on its page for the changed row, it costs none either.
alter table log.due_work set (fillfactor = 70);
