-- What years of upgrades make of db.sql: the same columns, those that came later at the end.
-- Whoever copies rows by position instead of by name is found out here (doc/platform.md 2.9).

ALTER TABLE zimbra.volume
    MODIFY metadata MEDIUMTEXT AFTER store_manager_class,
    MODIFY file_bits SMALLINT NOT NULL AFTER mailbox_group_bits;

ALTER TABLE zimbra.mailbox
    MODIFY contact_count INTEGER UNSIGNED DEFAULT 0 AFTER itemcache_checkpoint,
    MODIFY last_soap_access INTEGER UNSIGNED NOT NULL DEFAULT 0 AFTER contact_count,
    MODIFY tracking_imap BOOLEAN NOT NULL DEFAULT 0 AFTER comment,
    MODIFY size_checkpoint BIGINT UNSIGNED NOT NULL DEFAULT 0 AFTER change_checkpoint;

ALTER TABLE zimbra.scheduled_task
    MODIFY interval_millis INTEGER UNSIGNED AFTER name,
    MODIFY exec_time DATETIME AFTER metadata;

ALTER TABLE zimbra.mobile_devices
    MODIFY policy_values VARCHAR(512) AFTER update_time,
    MODIFY deleted_by_user BOOLEAN NOT NULL DEFAULT 0 AFTER policy_values,
    MODIFY user_agent VARCHAR(64) AFTER protocol_version;

ALTER TABLE zimbra.zmg_devices MODIFY reg_id VARCHAR(255) NOT NULL AFTER max_payload_size;
