package ui

// pane goes on to the next part of the screen: jobs, grid, nodes, round and round; on a node, its sections.
func (m *Model) pane(d int) {
	switch m.screen {
	case screenNode:
		m.node.focus(d)
		return
	case screenGPU:
		m.gpu.focus(d)
		return
	case screenJob:
		m.job.focus(d)
		return
	case screenRun:
		m.run.switchRun()
		return
	}
	if m.screen != screenJobs && m.screen != screenNodes && m.screen != screenUsers && m.screen != screenFindings {
		return
	}
	at := 0
	switch m.place() {
	case placeGrid:
		at = 1
	case placeNodes:
		at = 2
	case placeFindings:
		at = 3
	case placeUsers:
		at = 4
	}
	const parts = 5
	at = (at + d + parts) % parts
	if _, grid := splitJobs(layoutFrame(m.height).bodyRows, 0); at == 1 && (grid == 0 || m.jobs.pending) {
		at = (at + d + parts) % parts // there is no room for the grid: Enter shows it alone
	}
	m.view([parts]screen{screenJobs, screenJobs, screenNodes, screenFindings, screenUsers}[at])
	m.jobs.inGrid = at == 1
}
