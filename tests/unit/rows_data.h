/* rows_data.h - what test_rows puts into a mailbox, and the differences it plants. "@G" is the group's
 * schema and "@M" the mailbox; statements are parted by ";;". */
#ifndef TESTS_UNIT_ROWS_DATA_H
#define TESTS_UNIT_ROWS_DATA_H

enum { SOURCE, TARGET };

/* clang-format off */
/* Rows that a mailbox may have, as nasty as they come; foreign keys off, as the source's orphans are. */
static const char seed[] =
    "SET foreign_key_checks=0"
    ";;INSERT INTO @G.mail_item (mailbox_id,id,type,parent_id,folder_id,index_id,imap_id,date,size,"
    "locator,blob_digest,unread,flags,tags,tag_names,sender,recipients,subject,name,metadata,"
    "mod_metadata,change_date,mod_content,uuid,prev_folders) VALUES"
    " (@M,1,1,11,11,NULL,NULL,1,0,NULL,NULL,0,0,0,NULL,NULL,NULL,'USER_ROOT','USER_ROOT','d1:t1:xe',"
    "1,1,1,'u1',NULL),"
    " (@M,2,1,1,1,NULL,NULL,1,0,NULL,NULL,5,0,0,NULL,NULL,NULL,'Inbox','Inbox','',2,NULL,2,'u2',NULL),"
    " (@M,3,1,1,1,NULL,NULL,1,0,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'Alpha',NULL,2,NULL,2,'',''),"
    " (@M,4,1,1,1,NULL,NULL,1,0,NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'Beta',NULL,2,NULL,2,NULL,'1:2;'),"
    " (@M,127,5,NULL,2,127,127,1600000000,4000000000,'1',CONCAT(REPEAT('a',43),'='),1,2,0,"
    "CONCAT(CHAR(0),'work',CHAR(0)),'a','bc','? it\\'s \\\"quoted\\\" \\\\ ?',NULL,'d1:t',90,91,90,'-',NULL),"
    " (@M,128,5,NULL,2,0,0,1600000000,0,'4','',0,-1,-9,CONCAT(CHAR(0),CHAR(0)),'ab','c','',NULL,"
    "CONCAT('d',REPEAT(CHAR(195,169),5),CHAR(10),CHAR(13),CHAR(26),'%_'),90,0,90,'1,2',NULL),"
    " (@M,255,5,128,2,1,NULL,4294967295,18446744073709551615,'1','x',NULL,2147483647,"
    "-9223372036854775808,' ',' ','','  ',NULL,'-',4294967295,4294967295,4294967295,' u',NULL),"
    " (@M,256,8,NULL,3,NULL,NULL,1,1,'4','y',NULL,0,0,NULL,NULL,NULL,NULL,'Doc.txt','5:NULL',9,9,9,NULL,NULL),"
    " (@M,300000,5,NULL,2,300000,300000,1,1,'1','z',0,0,0,NULL,NULL,NULL,'late',NULL,'e',95,95,95,NULL,NULL),"
    " (@M,600001,5,NULL,2,600001,600001,1,1,'1','z',0,0,0,NULL,NULL,NULL,'later',NULL,'e',96,95,96,NULL,NULL)"
    ";;INSERT INTO @G.mail_item_dumpster (mailbox_id,id,type,folder_id,date,size,locator,blob_digest,"
    "name,mod_metadata,mod_content) VALUES (@M,200,5,3,1,10,'4','d','same',80,70),"
    "(@M,201,5,3,1,10,NULL,NULL,'same',80,70)"
    ";;INSERT INTO @G.revision (mailbox_id,item_id,version,date,size,locator,blob_digest,name,metadata,"
    "mod_metadata,change_date,mod_content) VALUES (@M,256,1,1,1,'1','q','Doc.txt',NULL,5,5,5),"
    "(@M,256,2,1,1,'1','r','Doc.txt','',6,6,6),(@M,256,3,1,1,NULL,NULL,NULL,NULL,7,NULL,7)"
    ";;INSERT INTO @G.revision_dumpster (mailbox_id,item_id,version,date,size,locator,mod_metadata,"
    "mod_content) VALUES (@M,200,1,1,1,'4',5,5)"
    ";;INSERT INTO @G.tag (mailbox_id,id,name,color,item_count,unread,listed,sequence,policy) VALUES"
    " (@M,-10,'\\\\Unread',NULL,2,2,0,0,NULL),(@M,-2,'\\\\Attached',NULL,0,0,0,0,NULL),"
    "(@M,64,'work',3,2,0,1,90,''),(@M,65,'home',NULL,0,0,1,91,NULL)"
    ";;INSERT INTO @G.tagged_item (mailbox_id,tag_id,item_id) VALUES (@M,-10,127),(@M,-10,255),"
    "(@M,-2,127),(@M,64,127),(@M,64,128),(@M,64,191),(@M,65,600001)"
    ";;INSERT INTO @G.open_conversation (mailbox_id,hash,conv_id) VALUES"
    " (@M,'AAAAAAAAAAAAAAAAAAAAAAAAAAA=',127),(@M,'aAAAAAAAAAAAAAAAAAAAAAAAAAA=',128)"
    ";;INSERT INTO @G.appointment (mailbox_id,uid,item_id,start_time,end_time) VALUES"
    " (@M,'uid-One',300,'2024-03-31 02:30:00',NULL),(@M,'uid-two',301,'1969-12-31 23:59:59',"
    "'9999-12-31 23:59:59'),(@M,'uid-zero',302,'0000-00-00 00:00:00','2024-01-01')"
    ";;INSERT INTO @G.appointment_dumpster (mailbox_id,uid,item_id,start_time) VALUES"
    " (@M,'gone',200,'2024-01-01')"
    ";;INSERT INTO @G.tombstone (mailbox_id,sequence,date,type,ids) VALUES (@M,50,1,5,'7,8'),"
    "(@M,50,1,5,'7,8'),(@M,50,1,NULL,'7,8'),(@M,51,1,5,NULL),(@M,700,1,5,'9:uuid')"
    ";;INSERT INTO @G.pop3_message (mailbox_id,data_source_id,uid,item_id) VALUES"
    " (@M,'ds@M','UID 1 ',127),(@M,'ds@M','uid 1 ',128)"
    ";;INSERT INTO @G.imap_folder (mailbox_id,item_id,data_source_id,local_path,remote_path,"
    "uid_validity) VALUES (@M,400,'ds2','/Ext','INBOX',NULL),(@M,401,'ds2','/Ext/B','B',7)"
    ";;INSERT INTO @G.imap_message (mailbox_id,imap_folder_id,uid,item_id,flags) VALUES"
    " (@M,400,-1,410,0),(@M,400,9223372036854775807,411,-1)"
    ";;INSERT INTO @G.data_source_item (mailbox_id,data_source_id,item_id,folder_id,remote_id,metadata)"
    " VALUES (@M,'ds3',420,2,'r','d1:x'),(@M,'ds3',421,0,'R',NULL)"
    ";;INSERT INTO @G.purged_conversations (mailbox_id,data_source_id,item_id,hash) VALUES"
    " (@M,'ds3',1,'h'),(@M,'ds4',1,'h')"
    ";;INSERT INTO @G.purged_messages (mailbox_id,data_source_id,item_id,parent_id,remote_id,"
    "remote_folder_id,purge_date) VALUES (@M,'ds3',5,NULL,'m','f',NULL),(@M,'ds4',5,1,'m','f',2)"
    ";;INSERT INTO @G.event (mailbox_id,account_id,item_id,folder_id,op,ts,version,user_agent,arg)"
    " VALUES (@M,'acc',127,2,1,5,NULL,'a',NULL),(@M,'acc',127,2,1,5,NULL,NULL,'a'),"
    "(@M,'acc',-5,2,1,5,1,NULL,'x'),(@M,'acc',-500,2,-1,5,1,NULL,'x'),(@M,'acc',127,2,1,5,NULL,'a',NULL)"
    ";;INSERT INTO @G.watch (mailbox_id,target,item_id) VALUES (@M,'other',-1),(@M,'other',2),"
    "(@M,'third',2)"
    ";;INSERT INTO zimbra.mailbox_metadata (mailbox_id,section,metadata) VALUES (@M,'zwc:x','d1:ae'),"
    "(@M,'empty',''),(@M,'null',NULL)"
    ";;INSERT INTO zimbra.out_of_office (mailbox_id,sent_to,sent_on) VALUES"
    " (@M,'ann@example.com','2024-03-31 02:30:00')"
    ";;INSERT INTO zimbra.mobile_devices (mailbox_id,device_id,device_type,first_req_received,"
    "last_used_date,last_updated_by,update_time) VALUES"
    " (@M,'Dev1','iPhone',5,'2024-02-29','User','2001-02-03 04:05:06'),"
    "(@M,'Dev2','Android',5,NULL,NULL,'2024-10-27 00:30:00')"
    ";;INSERT INTO zimbra.zmg_devices (mailbox_id,app_id,reg_id,push_provider) VALUES"
    " (@M,'app','reg-@M','gcm')"
    ";;SET foreign_key_checks=1";

/* One planted difference: found by rows_compare in that table, and gone after one rows_sync. */
static const struct Planted {
    const char *what;
    int side;
    const char *table, *sql;
} planted[] = {
    { "a row is missing", TARGET, "mail_item", "DELETE FROM @G.mail_item WHERE mailbox_id=@M AND id=128" },
    { "the last row is missing", TARGET, "mail_item",
      "DELETE FROM @G.mail_item WHERE mailbox_id=@M AND id=600001" },
    { "a row too many", SOURCE, "mail_item", "DELETE FROM @G.mail_item WHERE mailbox_id=@M AND id=255" },
    { "a bucket too many", SOURCE, "mail_item",
      "DELETE FROM @G.mail_item WHERE mailbox_id=@M AND id=300000" },
    { "one byte of a subject", TARGET, "mail_item",
      "UPDATE @G.mail_item SET subject='latf' WHERE mailbox_id=@M AND id=300000" },
    { "NULL is not empty", TARGET, "mail_item",
      "UPDATE @G.mail_item SET sender='' WHERE mailbox_id=@M AND id=300000" },
    { "empty is not NULL", TARGET, "mail_item",
      "UPDATE @G.mail_item SET uuid=NULL WHERE mailbox_id=@M AND id=3" },
    { "a number is not NULL", TARGET, "mail_item",
      "UPDATE @G.mail_item SET unread=NULL WHERE mailbox_id=@M AND id=2" },
    { "a trailing blank", SOURCE, "mail_item",
      "UPDATE @G.mail_item SET name='Doc.txt ' WHERE mailbox_id=@M AND id=256" },
    { "upper case", SOURCE, "mail_item",
      "UPDATE @G.mail_item SET name='doc.TXT' WHERE mailbox_id=@M AND id=256" },
    { "a NUL byte", SOURCE, "mail_item",
      "UPDATE @G.mail_item SET tag_names=CONCAT(CHAR(0),'work',CHAR(0),CHAR(0)) WHERE mailbox_id=@M AND id=127" },
    { "a byte that wanders to the next column", SOURCE, "mail_item",
      "UPDATE @G.mail_item SET sender='ab', recipients='c' WHERE mailbox_id=@M AND id=127" },
    { "NULL that wanders to the next column", SOURCE, "mail_item",
      "UPDATE @G.mail_item SET sender=NULL, recipients=' ' WHERE mailbox_id=@M AND id=255" },
    { "two folders swap their names", SOURCE, "mail_item",
      "UPDATE @G.mail_item SET name='x' WHERE mailbox_id=@M AND id=3;;"
      "UPDATE @G.mail_item SET name='Alpha' WHERE mailbox_id=@M AND id=4;;"
      "UPDATE @G.mail_item SET name='Beta' WHERE mailbox_id=@M AND id=3" },
    { "an item takes a deleted one's name", SOURCE, "mail_item",
      "DELETE FROM @G.mail_item WHERE mailbox_id=@M AND id=4;;"
      "UPDATE @G.mail_item SET name='BETA', folder_id=1 WHERE mailbox_id=@M AND id=600001" },
    { "locator of another volume", TARGET, "mail_item",
      "UPDATE @G.mail_item SET locator='3' WHERE mailbox_id=@M AND id=127" },
    { "locator with a blank", TARGET, "mail_item",
      "UPDATE @G.mail_item SET locator='5 ' WHERE mailbox_id=@M AND id=127" },
    { "locator lost", TARGET, "revision",
      "UPDATE @G.revision SET locator=NULL WHERE mailbox_id=@M AND version=2" },
    { "locator invented", TARGET, "mail_item_dumpster",
      "UPDATE @G.mail_item_dumpster SET locator='5' WHERE mailbox_id=@M AND id=201" },
    { "counts of a tag", SOURCE, "tag", "UPDATE @G.tag SET item_count=3 WHERE mailbox_id=@M AND id=-10" },
    { "two tags swap their names", SOURCE, "tag",
      "UPDATE @G.tag SET name='x' WHERE mailbox_id=@M AND id=64;;"
      "UPDATE @G.tag SET name='work' WHERE mailbox_id=@M AND id=65;;"
      "UPDATE @G.tag SET name='home' WHERE mailbox_id=@M AND id=64" },
    { "a tagging is missing", TARGET, "tagged_item",
      "DELETE FROM @G.tagged_item WHERE mailbox_id=@M AND tag_id=-10 AND item_id=255" },
    { "a tagging too many", TARGET, "tagged_item",
      "INSERT INTO @G.tagged_item (mailbox_id,tag_id,item_id) VALUES (@M,-2,191)" },
    { "another item is tagged", SOURCE, "tagged_item",
      "UPDATE @G.tagged_item SET item_id=190 WHERE mailbox_id=@M AND item_id=191" },
    { "the item one bucket on is tagged", SOURCE, "tagged_item",
      "UPDATE @G.tagged_item SET item_id=319 WHERE mailbox_id=@M AND item_id=191" },
    { "equal but for case: open conversations", SOURCE, "open_conversation",
      "DELETE FROM @G.open_conversation WHERE mailbox_id=@M AND conv_id=128" },
    { "case of a uid", TARGET, "appointment",
      "UPDATE @G.appointment SET uid='UID-one' WHERE mailbox_id=@M AND item_id=300" },
    { "an end that was none", TARGET, "appointment",
      "UPDATE @G.appointment SET end_time='2024-03-31 02:30:00' WHERE mailbox_id=@M AND item_id=300" },
    { "a zero date", TARGET, "appointment",
      "UPDATE @G.appointment SET start_time='2024-01-01' WHERE mailbox_id=@M AND item_id=302" },
    { "a tombstone once more at the target", TARGET, "tombstone",
      "INSERT INTO @G.tombstone (mailbox_id,sequence,date,type,ids) VALUES (@M,50,1,5,'7,8')" },
    { "a tombstone once more at the source", SOURCE, "tombstone",
      "INSERT INTO @G.tombstone (mailbox_id,sequence,date,type,ids) VALUES (@M,50,1,5,'7,8')" },
    { "one of two equal tombstones gone", SOURCE, "tombstone",
      "DELETE FROM @G.tombstone WHERE mailbox_id=@M AND ids='7,8' AND type=5 LIMIT 1" },
    { "both equal tombstones gone", TARGET, "tombstone",
      "DELETE FROM @G.tombstone WHERE mailbox_id=@M AND ids='7,8' AND type=5" },
    { "an event twice", TARGET, "event",
      "INSERT INTO @G.event (mailbox_id,account_id,item_id,folder_id,op,ts,version,arg) VALUES (@M,'acc',-5,2,1,5,1,'x')" },
    { "an event's NULL elsewhere", SOURCE, "event",
      "UPDATE @G.event SET user_agent=NULL, arg='a' WHERE mailbox_id=@M AND user_agent='a' LIMIT 1" },
    { "an event of a negative item", SOURCE, "event",
      "UPDATE @G.event SET op=7 WHERE mailbox_id=@M AND item_id=-500" },
    { "POP ids equal but for case", SOURCE, "pop3_message",
      "DELETE FROM @G.pop3_message WHERE mailbox_id=@M AND item_id=127;;"
      "UPDATE @G.pop3_message SET uid='UID 1 ' WHERE mailbox_id=@M" },
    { "an IMAP folder's path", SOURCE, "imap_folder",
      "UPDATE @G.imap_folder SET local_path='/Ext/C' WHERE mailbox_id=@M AND item_id=401" },
    { "an IMAP message's flags", TARGET, "imap_message",
      "UPDATE @G.imap_message SET flags=1 WHERE mailbox_id=@M AND item_id=410" },
    { "remote ids swap", SOURCE, "data_source_item",
      "UPDATE @G.data_source_item SET remote_id='x' WHERE mailbox_id=@M AND item_id=420;;"
      "UPDATE @G.data_source_item SET remote_id='r' WHERE mailbox_id=@M AND item_id=421;;"
      "UPDATE @G.data_source_item SET remote_id='R' WHERE mailbox_id=@M AND item_id=420" },
    { "a purged conversation", TARGET, "purged_conversations",
      "UPDATE @G.purged_conversations SET item_id=2 WHERE mailbox_id=@M AND data_source_id='ds4'" },
    { "a purged message", TARGET, "purged_messages",
      "DELETE FROM @G.purged_messages WHERE mailbox_id=@M AND data_source_id='ds3'" },
    { "a watch", SOURCE, "watch", "DELETE FROM @G.watch WHERE mailbox_id=@M AND item_id=-1" },
    { "case of a section", SOURCE, "mailbox_metadata",
      "UPDATE zimbra.mailbox_metadata SET section='ZWC:x' WHERE mailbox_id=@M AND section='zwc:x'" },
    { "metadata empty for NULL", TARGET, "mailbox_metadata",
      "UPDATE zimbra.mailbox_metadata SET metadata='' WHERE mailbox_id=@M AND section='null'" },
    { "a second of a date", TARGET, "out_of_office",
      "UPDATE zimbra.out_of_office SET sent_on='2024-03-31 02:30:01' WHERE mailbox_id=@M" },
    { "a time that sets itself", SOURCE, "mobile_devices",
      "UPDATE zimbra.mobile_devices SET update_time='2001-02-03 04:05:07' WHERE mailbox_id=@M AND device_id='Dev1'" },
    { "one of a few words", SOURCE, "mobile_devices",
      "UPDATE zimbra.mobile_devices SET last_updated_by='Admin',update_time=update_time WHERE mailbox_id=@M" },
    { "a push registration", SOURCE, "zmg_devices",
      "UPDATE zimbra.zmg_devices SET reg_id=CONCAT(reg_id,'x') WHERE mailbox_id=@M" },
};
/* clang-format on */

#endif
