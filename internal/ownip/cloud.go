package ownip

import (
	"os"
	"path/filepath"
	"strings"
)

// cloud returns the source of the cloud that this is, "" when it is none. It
// asks nobody: a variable that says where a metadata service is, or that ECS
// sets, decides; else what the firmware calls the machine.
func (f *finder) cloud() string { return f.cloudBeside("") }

// cloudBeside does not consider one source.
func (f *finder) cloudBeside(not string) string {
	for _, known := range []struct{ source, variable string }{
		{ECS, EnvECS}, {EC2, EnvEC2}, {GCP, EnvGCP}, {Azure, EnvAzure},
	} {
		if known.source != not && f.options.Getenv(known.variable) != "" {
			return known.source
		}
	}
	return f.firmware()
}

// azureTag is the asset tag that Azure gives its machines; the vendor alone
// would be any Hyper-V.
const azureTag = "7783-7084-3265-9085-8269-3286-77"

// firmware tells the cloud by the names that DMI has for the machine. EC2's
// older instances are Xen's and have Amazon in the BIOS' version only.
func (f *finder) firmware() string {
	vendor := f.dmi("sys_vendor")
	switch {
	case vendor == "Amazon EC2", strings.Contains(f.dmi("bios_version"), "amazon"):
		return EC2
	case vendor == "Google", f.dmi("product_name") == "Google Compute Engine":
		return GCP
	case vendor == "Microsoft Corporation" && f.dmi("chassis_asset_tag") == azureTag:
		return Azure
	}
	return ""
}

// maxDMI is more than a name in DMI has.
const maxDMI = 256

// dmi returns a name, "" when there is none.
func (f *finder) dmi(name string) string {
	file, err := os.Open(filepath.Join(f.options.DMI, name))
	if err != nil {
		return ""
	}
	defer file.Close()
	buffer := make([]byte, maxDMI)
	n, _ := file.Read(buffer)
	return strings.TrimSpace(string(buffer[:n]))
}
