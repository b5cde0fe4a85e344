//! The contract, one function per sentence. `hold_to_the_contract!` runs all of them on a backend.

pub mod data;
pub mod expectations;
pub mod filters;
pub mod following;
pub mod order;
pub mod receipts;
pub mod repetition;
pub mod streams;

/// Generates a test for each sentence, on a fresh log of the backend. The compiler reports a missing sentence as dead code.
#[macro_export]
macro_rules! hold_to_the_contract {
    ($backend:ty) => {
        hold_to_the_contract! { $backend:
            expectations {
                each_is_met_or_refused_by_how_the_stream_stands,
                a_conflict_tells_the_version_and_leaves_nothing,
                several_streams_are_appended_to_together,
                one_conflict_leaves_nothing_of_an_append_to_several_streams,
                a_stream_without_an_event_is_only_guarded,
                a_guard_alone_appends_nothing_and_tells_the_head,
                an_append_may_follow_an_event_that_is_on_its_way,
                what_follows_an_event_that_did_not_arrive_is_refused,
            }
            order {
                versions_and_positions_are_contiguous,
                events_of_several_streams_keep_their_order,
                appends_arrive_in_the_order_of_their_calls,
                appends_of_many_tasks_are_there_once_and_without_gap,
                appends_of_two_nodes_are_there_once_and_without_gap,
                of_many_that_race_for_a_version_one_wins,
                a_conflict_fails_alone_among_its_neighbours,
                invalid_json_fails_alone_among_its_neighbours,
            }
            repetition {
                an_append_that_is_repeated_is_told_where_it_is,
                it_is_told_so_under_its_key,
                it_is_told_so_after_the_stream_moved_on,
                it_is_told_so_by_another_node,
                an_append_that_is_partly_new_is_refused,
                an_event_twice_in_one_append_is_refused,
                the_same_append_from_many_tasks_lands_once,
            }
            receipts {
                a_receipt_is_kept_with_the_append,
                a_key_that_was_used_is_answered_with_its_receipt,
                an_append_that_fails_leaves_no_receipt,
                an_append_without_events_can_have_a_receipt,
                of_many_that_race_for_a_key_one_wins,
                many_receipts_are_kept_in_one_group,
            }
            data {
                data_comes_back_byte_for_byte,
                what_is_not_json_is_rejected,
                the_envelope_comes_back_whole,
            }
            streams {
                a_stream_is_read_forwards_from_a_version,
                a_stream_is_read_backwards_from_a_version,
                a_stream_that_is_not_there_is_empty,
                categories_keep_streams_of_one_id_apart,
                an_event_is_found_by_its_id,
            }
            filters {
                each_field_lets_through_what_it_names,
                fields_together_let_through_what_all_of_them_do,
                a_reader_is_shown_what_they_may_see,
                a_type_is_meant_literally_up_to_its_star,
                pages_follow_each_other_without_gap_or_double,
                a_page_of_nothing_does_not_move,
                a_page_of_large_events_ends_early_and_is_read_on,
                no_event_spoils_a_filter,
            }
            following {
                first_comes_what_is_there_then_what_is_appended,
                only_what_the_filter_lets_through_comes,
                an_append_wakes_the_other_node,
                a_follower_ahead_of_the_log_waits_for_it,
            }
        }
    };
    ($backend:ty: $($group:ident { $($sentence:ident,)+ })+) => {
        $(mod $group {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() {
                let test = async {
                    let backend = <$backend as $crate::backend::Backend>::start().await;
                    $crate::suite::$group::$sentence(&backend).await;
                };
                $crate::harness::in_time(test).await;
            })+
        })+
    };
}
