select message_store.write_message(gen_random_uuid()::varchar, 'bench-' || gen_random_uuid(), 'note.created', :data::jsonb, null, -1);
