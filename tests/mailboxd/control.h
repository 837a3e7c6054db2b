/* control.h - the control port: how tests look into this process and break it. Nothing else uses
 * it. */
#ifndef MAILBOXD_CONTROL_H
#define MAILBOXD_CONTROL_H

#include "tests/mailboxd/fault.h"

bool control_start(GError **error);
void control_stop(void);

#endif
