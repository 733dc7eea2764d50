// Package headers pins the module whose miniaudio.h Ollama's C++ sources include: module archives
// leave out the vendor folders in which Ollama keeps its copy.
package headers

import _ "github.com/gen2brain/malgo"
