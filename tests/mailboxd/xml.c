/* xml.c - see xml.h. */
#include "tests/mailboxd/xml.h"
#include <string.h>

static const xmlChar *x(const char *text)
{
    return (const xmlChar *)text;
}

static char *take(xmlChar *text)
{
    char *copy = g_strdup((const char *)text);

    xmlFree(text);
    return copy;
}

bool xml_is(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static xmlNode *first_named(xmlNode *node, const char *name)
{
    while (node != NULL && !xml_is(node, name))
        node = node->next;
    return node;
}

xmlNode *xml_child(const xmlNode *parent, const char *name)
{
    return first_named(parent->children, name);
}

xmlNode *xml_next(const xmlNode *node)
{
    return first_named(node->next, (const char *)node->name);
}

char *xml_text(const xmlNode *node)
{
    char *text = take(xmlNodeGetContent(node));

    return text == NULL ? g_strdup("") : g_strstrip(text);
}

char *xml_get(const xmlNode *node, const char *name)
{
    char *value = take(xmlGetNoNsProp(node, x(name)));
    const xmlNode *child = value == NULL ? xml_child(node, name) : NULL;

    return child == NULL ? value : xml_text(child);
}

xmlNode *xml_new(const char *name, const char *ns)
{
    xmlNode *node = xmlNewNode(NULL, x(name));

    xmlSetNs(node, xmlNewNs(node, x(ns), NULL));
    return node;
}

xmlNode *xml_add(xmlNode *parent, const char *name, const char *text)
{
    return xmlNewTextChild(parent, parent->ns, x(name), x(text));
}

void xml_add_a(xmlNode *parent, const char *name, const char *value)
{
    if (value != NULL && g_utf8_validate(value, -1, NULL))
        xml_set(xml_add(parent, "a", value), "n", name);
}

void xml_set(xmlNode *node, const char *name, const char *value)
{
    xmlSetProp(node, x(name), x(value));
}

void xml_setf(xmlNode *node, const char *name, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *value = g_strdup_vprintf(format, args);
    va_end(args);
    xml_set(node, name, value);
}
