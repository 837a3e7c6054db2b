/* xml.h - libxml2 with plain texts: reading requests, building answers. */
#ifndef MAILBOXD_XML_H
#define MAILBOXD_XML_H

#include <glib.h>
#include <libxml/tree.h>
#include <stdbool.h>

bool xml_is(const xmlNode *node, const char *name);
xmlNode *xml_child(const xmlNode *parent, const char *name);
/* Next element with the same name. */
xmlNode *xml_next(const xmlNode *node);
/* Attribute @name, else the text of the child element @name, else NULL: requests may use either. */
char *xml_get(const xmlNode *node, const char *name);
/* Text content, trimmed. */
char *xml_text(const xmlNode *node);

/* <name xmlns="ns">; a node of its own. */
xmlNode *xml_new(const char *name, const char *ns);
xmlNode *xml_add(xmlNode *parent, const char *name, const char *text);
/* <a n="name">value</a>, left out if the value is not text. */
void xml_add_a(xmlNode *parent, const char *name, const char *value);
void xml_set(xmlNode *node, const char *name, const char *value);
void xml_setf(xmlNode *node, const char *name, const char *format, ...) G_GNUC_PRINTF(3, 4);

#endif
