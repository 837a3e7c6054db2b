-- The schema `chat`: keyed by address, not by mailbox, and not moved with one (doc/platform.md 2).

CREATE DATABASE chat DEFAULT CHARACTER SET utf8;

CREATE TABLE chat.user (
    id       INTEGER UNSIGNED NOT NULL AUTO_INCREMENT,
    address  VARCHAR(256) NOT NULL,
    PRIMARY KEY (id),
    KEY i_address (address)
) ENGINE=InnoDB;

CREATE TABLE chat.relationship (
    user_id        INTEGER UNSIGNED NOT NULL,
    type           TINYINT NOT NULL,
    buddy_address  VARCHAR(256) NOT NULL,
    buddy_name     VARCHAR(128) NOT NULL,
    group_name     VARCHAR(256) NOT NULL DEFAULT '',
    KEY i_user_id (user_id),
    CONSTRAINT fk_relationship_user FOREIGN KEY (user_id) REFERENCES chat.user (id) ON DELETE CASCADE
) ENGINE=InnoDB;

CREATE TABLE chat.message (
    id         INTEGER UNSIGNED NOT NULL AUTO_INCREMENT,
    user_id    INTEGER UNSIGNED NOT NULL,
    sender     VARCHAR(256) NOT NULL,
    sent_at    BIGINT NOT NULL,
    text       MEDIUMTEXT,
    PRIMARY KEY (id),
    CONSTRAINT fk_message_user FOREIGN KEY (user_id) REFERENCES chat.user (id) ON DELETE CASCADE
) ENGINE=InnoDB;
