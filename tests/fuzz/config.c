/* config.c: any bytes as a configuration file: a struct or a finding, never a crash, leak or hang.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spate_config_report report = {0};
	struct spate_config_changes changes;
	struct spate_config *cfg = NULL;
	int ret = spate_config_parse("fuzz", (const char *)data, size, NULL, &cfg, &report);

	if (ret < 0) {
		if (report.errors == 0)
			abort(); /* refused without a word */
		if (strncmp(report.text, "fuzz: internal:", 15) == 0)
			abort(); /* read.c wrote what the schema does not take */
		return 0;
	}
	if (report.errors)
		abort();
	spate_config_diff(cfg, cfg, &changes);
	if (changes.reload || changes.restart)
		abort();
	spate_config_free(cfg);
	return 0;
}
