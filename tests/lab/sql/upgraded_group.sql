-- What years of upgrades make of a group schema: see upgraded_db.sql. Groups that the same store makes
-- today come from its create_database.sql, so one store has both orders.

ALTER TABLE ${DATABASE_NAME}.mail_item
    MODIFY locator VARCHAR(1024) AFTER index_id,
    MODIFY recipients VARCHAR(128) AFTER mod_content,
    MODIFY tag_names TEXT AFTER recipients,
    MODIFY uuid VARCHAR(127) AFTER tag_names,
    MODIFY prev_folders TEXT AFTER uuid,
    MODIFY change_date INTEGER UNSIGNED AFTER mod_content;

ALTER TABLE ${DATABASE_NAME}.mail_item_dumpster
    MODIFY locator VARCHAR(1024) AFTER index_id,
    MODIFY tag_names TEXT AFTER uuid,
    MODIFY recipients VARCHAR(128) AFTER tag_names,
    MODIFY prev_folders TEXT AFTER recipients;

ALTER TABLE ${DATABASE_NAME}.revision
    MODIFY locator VARCHAR(1024) AFTER date,
    MODIFY name VARCHAR(255) AFTER mod_content;

ALTER TABLE ${DATABASE_NAME}.revision_dumpster MODIFY locator VARCHAR(1024) AFTER date;

ALTER TABLE ${DATABASE_NAME}.tag
    MODIFY listed BOOLEAN NOT NULL DEFAULT FALSE AFTER policy,
    MODIFY color BIGINT AFTER sequence;

ALTER TABLE ${DATABASE_NAME}.imap_folder MODIFY uid_validity INTEGER UNSIGNED AFTER data_source_id;

ALTER TABLE ${DATABASE_NAME}.imap_message MODIFY flags INTEGER NOT NULL DEFAULT 0 AFTER imap_folder_id;

ALTER TABLE ${DATABASE_NAME}.event MODIFY version INTEGER AFTER folder_id;
